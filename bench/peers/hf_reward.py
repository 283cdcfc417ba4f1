"""Seconds of scoring N candidates of one prompt with transformers, as one line of JSON.

    python hf_reward.py --model FOLDER --prompt-tokens 400 --candidate-tokens 150 --samples 64 --dtype float32

The prompt is read again for each candidate, as is usual; candidates go in batches. Tokens are those of score-child.ts,
so that rewards can be compared.
"""

import argparse
import json
import os
import resource
import time

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")

import torch  # noqa: E402
from transformers import LlamaForSequenceClassification  # noqa: E402


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of a LlamaForSequenceClassification")
    parser.add_argument("--prompt-tokens", type=int, default=400)
    parser.add_argument("--candidate-tokens", type=int, default=150)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8, help="candidates that go through the model at once")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="float32")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    return parser.parse_args()


def tokens(first: int, count: int, vocabulary: int) -> list[int]:
    return [3 + (i * 7919 + 13) % (vocabulary - 3) for i in range(first, first + count)]


def main() -> None:
    a = options()
    torch.set_num_threads(a.threads)
    model = LlamaForSequenceClassification.from_pretrained(a.model).to(getattr(torch, a.dtype)).to(a.device).eval()
    vocabulary = model.config.vocab_size
    prompt = tokens(0, a.prompt_tokens, vocabulary)
    rows = torch.tensor([
        prompt + tokens(a.prompt_tokens + i * a.candidate_tokens, a.candidate_tokens, vocabulary)
        for i in range(a.samples)
    ], device=a.device)
    with torch.inference_mode():
        model(rows[:1])
        begun, cpu_begun = time.perf_counter(), time.process_time()
        rewards = [reward for i in range(0, a.samples, a.batch)
                   for reward in model(rows[i:i + a.batch]).logits[:, 0].float().tolist()]
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu_begun
    print(json.dumps(dict(
        seconds=[seconds],
        cpuSeconds=[cpu],
        rewards=rewards,
        peakRssBytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        deviceBytes=torch.cuda.max_memory_allocated() if a.device == "cuda" else None)))


main()
