"""Seconds of transformers' generate() for N samples of one prompt, as one line of JSON.

    python hf_generate.py --prompt-tokens 400 --new-tokens 96 --samples 16 --dtype bfloat16

The model has SmolLM2-135M's shape and random weights, or is a checkpoint folder (--model); tokens are random, and
nothing ends a sample before its last token.
"""

import argparse
import json
import os
import resource
import time

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")

import torch  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompt-tokens", type=int, default=400)
    parser.add_argument("--new-tokens", type=int, default=96)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--temperature", type=float, default=0.6)
    parser.add_argument("--top-p", type=float, default=0.9)
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--layers", type=int, default=30, help="layers of the random model")
    parser.add_argument("--runs", type=int, default=1, help="generations that are timed, after a short one")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--model", help="folder of a checkpoint")
    return parser.parse_args()


def load(a: argparse.Namespace) -> LlamaForCausalLM:
    if a.model:
        model = LlamaForCausalLM.from_pretrained(a.model)
    else:
        shape = dict(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_attention_heads=9,
                     num_key_value_heads=3, tie_word_embeddings=True, max_position_embeddings=8192)
        model = LlamaForCausalLM(LlamaConfig(num_hidden_layers=a.layers, **shape))
    return model.to(getattr(torch, a.dtype)).to(a.device).eval()


def main() -> None:
    a = options()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    model = load(a)
    prompt = torch.randint(3, model.config.vocab_size, (1, a.prompt_tokens), device=a.device)
    sampling = dict(do_sample=True, temperature=a.temperature, top_k=0, top_p=a.top_p,
                    num_return_sequences=a.samples, eos_token_id=None, pad_token_id=0)

    def generate(new_tokens: int) -> tuple[float, float]:
        begun, cpu_begun = time.perf_counter(), time.process_time()
        generated = model.generate(prompt, attention_mask=torch.ones_like(prompt), min_new_tokens=new_tokens,
                                   max_new_tokens=new_tokens, **sampling)
        assert generated.shape == (a.samples, a.prompt_tokens + new_tokens)
        if a.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begun, time.process_time() - cpu_begun

    with torch.inference_mode():
        generate(4)
        runs = [generate(a.new_tokens) for _ in range(a.runs)]
    print(json.dumps(dict(
        seconds=[seconds for seconds, _ in runs],
        cpuSeconds=[cpu for _, cpu in runs],
        peakRssBytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        deviceBytes=torch.cuda.max_memory_allocated() if a.device == "cuda" else None)))


main()
