"""Writes trl-reward-trainer.json: six steps of TRL's RewardTrainer, and gradients of the loss by PyTorch.

    python generate.py REFERENCE_DIR/reference/golden      (torch 2.13, transformers 5.17, trl 1.13)

The model is the reference's reward-seqcls, the pairs are those of its reward.json, in float32 on the CPU.
"""

import json
import os
import sys
import tempfile

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")

import torch  # noqa: E402
import transformers  # noqa: E402
import trl  # noqa: E402
from datasets import Dataset  # noqa: E402
from tokenizers import Tokenizer, models  # noqa: E402
from torch.utils.data import SequentialSampler  # noqa: E402
from transformers import LlamaForSequenceClassification, PreTrainedTokenizerFast, TrainerCallback  # noqa: E402
from trl import RewardConfig, RewardTrainer  # noqa: E402

golden = sys.argv[1]
torch.set_num_threads(1)
PAIRS = json.load(open(f"{golden}/reward.json"))["pairs"]
LOGGED = ["loss", "accuracy", "margin", "min_reward", "mean_reward", "max_reward", "grad_norm", "learning_rate", "num_tokens"]


def model():
    return LlamaForSequenceClassification.from_pretrained(f"{golden}/reward-seqcls", dtype=torch.float32)


class InOrder(RewardTrainer):
    def _get_train_sampler(self, *_):
        return SequentialSampler(self.train_dataset)


def trajectory(margins, center, accumulation):
    words = Tokenizer(models.WordLevel({f"t{i}": i for i in range(320)}, unk_token="t0"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="t1", eos_token="t2", bos_token="t0", unk_token="t0")
    rows = [dict(chosen_ids=p["prompt"] + p["chosen"], rejected_ids=p["prompt"] + p["rejected"]) for p in PAIRS]
    if margins is not None:
        rows = [dict(row, margin=margin) for row, margin in zip(rows, margins)]
    steps = []

    class Record(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **_):
            if "loss" in logs:
                steps.append({name: logs[name] for name in LOGGED})

    config = RewardConfig(
        output_dir=tempfile.mkdtemp(), max_steps=6, learning_rate=1e-3, lr_scheduler_type="linear", warmup_steps=2,
        weight_decay=0.1, per_device_train_batch_size=2 // accumulation, gradient_accumulation_steps=accumulation,
        center_rewards_coefficient=center, max_length=None, bf16=False, use_cpu=True, gradient_checkpointing=False,
        logging_steps=1, report_to=[], save_strategy="no", disable_tqdm=True)
    trained = model()
    InOrder(model=trained, args=config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer,
            callbacks=[Record()]).train()
    rewards = [trained(torch.tensor([row[key]])).logits.item() for row in rows for key in ("chosen_ids", "rejected_ids")]
    return dict(margins=margins, center=center, accumulation=accumulation, steps=steps, rewards=rewards)


def gradients(names):
    trained = model()
    reward = lambda pair, side: trained(torch.tensor([pair["prompt"] + pair[side]])).logits[0, 0]
    ahead = torch.stack([reward(pair, "chosen") - reward(pair, "rejected") for pair in PAIRS])
    loss = -torch.nn.functional.logsigmoid(ahead).mean()
    loss.backward()
    of = {name: parameter.grad for name, parameter in trained.named_parameters()}
    total = torch.sqrt(sum((gradient**2).sum() for gradient in of.values())).item()
    known = {name: dict(norm=of[name].norm().item(), sum=of[name].sum().item(), first=of[name].flatten()[:3].tolist()) for name in names}
    return dict(loss=loss.item(), total=total, by=known)


layer = "model.layers.{}".format
json.dump(
    dict(
        versions=dict(torch=torch.__version__, transformers=transformers.__version__, trl=trl.__version__),
        plain=trajectory(None, None, 1),
        margin=trajectory([0.5, 0.0, 1.0, 0.25, 2.0, 0.1], 0.01, 1),
        accumulated=trajectory(None, None, 2),
        gradients=gradients([
            "score.weight", "model.norm.weight", "model.embed_tokens.weight", layer("0.self_attn.q_proj.weight"),
            layer("0.input_layernorm.weight"), layer("1.mlp.down_proj.weight"), layer("2.self_attn.v_proj.weight"),
            layer("2.mlp.gate_proj.weight")]),
    ),
    open(os.path.join(os.path.dirname(__file__), "trl-reward-trainer.json"), "w"), indent=1)
