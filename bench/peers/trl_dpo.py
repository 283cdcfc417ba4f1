"""Seconds per optimizer step and peak memory of TRL's DPOTrainer on pairs of given lengths, as one line of JSON.

    python trl_dpo.py --lengths '[[375,123,182],[414,77,239]]' --bf16 --steps 3

Every step takes all pairs at once. The model has a known shape and random weights, or is a checkpoint folder
(--model); tokens are random. What TRL has to lower its time or memory is on unless an option takes it away: the
reference's log-probabilities are computed beforehand, activations are computed anew in the backward pass.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import torch  # noqa: E402
from datasets import Dataset  # noqa: E402
from peft import LoraConfig  # noqa: E402
from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback  # noqa: E402
from trl import DPOConfig, DPOTrainer  # noqa: E402


SHAPES = {
    "smollm2-135m": dict(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
                         num_attention_heads=9, num_key_value_heads=3, rope_theta=100000.0),
    "llama-3.2-1b": dict(vocab_size=128256, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16,
                         num_attention_heads=32, num_key_value_heads=8, rope_theta=500000.0),
}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=json.loads, default=[[375, 123, 182], [414, 77, 239]],
                        help="[[prompt, chosen, rejected], ...], tokens of each pair")
    parser.add_argument("--steps", type=int, default=3, help="steps that are timed")
    parser.add_argument("--warmup", type=int, default=1, help="steps before them")
    parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16")
    parser.add_argument("--lora-rank", type=int, default=0, help="train a LoRA adapter on all linear layers")
    parser.add_argument("--shape", choices=list(SHAPES), default="smollm2-135m", help="shape of the random model")
    parser.add_argument("--layers", type=int, help="layers of the random model (default: the shape's)")
    parser.add_argument("--no-checkpointing", action="store_true", help="keep all activations")
    parser.add_argument("--no-precompute", action="store_true", help="run the reference in every step")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--model", help="checkpoint folder in place of the random model")
    return parser.parse_args()


def load_model(o: argparse.Namespace) -> LlamaForCausalLM:
    if o.model:
        return LlamaForCausalLM.from_pretrained(o.model, dtype=torch.float32)
    shape = SHAPES[o.shape] | ({} if o.layers is None else {"num_hidden_layers": o.layers})
    return LlamaForCausalLM(LlamaConfig(**shape, tie_word_embeddings=True, max_position_embeddings=8192))


def word_tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """One word, `t7`, is one token, 7: texts of exactly so many tokens."""
    words = Tokenizer(models.WordLevel({f"t{i}": i for i in range(vocabulary)}, unk_token="t0"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words, eos_token="t2", pad_token="t1", unk_token="t0")


def random_rows(lengths: list[list[int]], count: int, vocabulary: int) -> list[dict[str, str]]:
    def text(tokens: int) -> str:
        return " ".join(f"t{i}" for i in torch.randint(3, vocabulary, (tokens,)).tolist())

    # The trainer ends each response with the end-of-sequence token, t2.
    return [
        dict(prompt=text(prompt) + " ", chosen=text(chosen - 1) + " t2", rejected=text(rejected - 1) + " t2")
        for prompt, chosen, rejected in lengths
    ] * count


class Clock(TrainerCallback):
    def __init__(self, device: str) -> None:
        self.device = device
        self.seconds: list[float] = []

    def now(self) -> float:
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def on_step_begin(self, *_, **__) -> None:
        self.start = self.now()

    def on_step_end(self, *_, **__) -> None:
        self.seconds.append(self.now() - self.start)
        print(f"step {len(self.seconds)}: {self.seconds[-1]:.2f} s", file=sys.stderr)


def device_memory_used(device: str) -> int | None:
    if device == "cpu":
        return None
    free, total = torch.cuda.mem_get_info()
    return total - free


def main() -> None:
    o = options()
    torch.set_num_threads(o.threads)
    torch.manual_seed(0)
    used_before = device_memory_used(o.device)
    model = load_model(o)
    vocabulary = model.config.vocab_size
    steps = o.warmup + o.steps
    clock = Clock(o.device)
    with tempfile.TemporaryDirectory() as folder:
        config = DPOConfig(
            output_dir=folder, per_device_train_batch_size=len(o.lengths), max_steps=steps, learning_rate=1e-6,
            lr_scheduler_type="constant", beta=0.1, max_length=None, bf16=o.bf16, use_cpu=o.device == "cpu",
            gradient_checkpointing=not o.no_checkpointing, precompute_ref_log_probs=not o.no_precompute,
            report_to=[], save_strategy="no", logging_steps=1, disable_tqdm=True,
        )
        adapter = None
        if o.lora_rank > 0:
            adapter = LoraConfig(r=o.lora_rank, lora_alpha=2 * o.lora_rank, target_modules="all-linear",
                                 task_type="CAUSAL_LM")
        begun = time.perf_counter()
        trainer = DPOTrainer(
            model=model, args=config, train_dataset=Dataset.from_list(random_rows(o.lengths, steps, vocabulary)),
            processing_class=word_tokenizer(vocabulary), callbacks=[clock], peft_config=adapter,
        )
        prepared = time.perf_counter() - begun
        # What the trainer prints of its metrics goes beside the one line of JSON.
        output, sys.stdout = sys.stdout, sys.stderr
        trainer.train()
        sys.stdout = output
    used_after = device_memory_used(o.device)
    print(json.dumps({
        "seconds": clock.seconds[o.warmup:],
        "preparationSeconds": prepared,
        "peakRssBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "deviceBytes": None if used_after is None else used_after - used_before,
    }))


if __name__ == "__main__":
    main()
