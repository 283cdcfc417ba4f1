"""Writes warpers.json: what transformers' generate() leaves of rows of logits. Needs torch, transformers."""
import itertools, json, pathlib
import torch
from transformers.generation.logits_process import (
    LogitsProcessorList, MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper,
    TopKLogitsWarper, TopPLogitsWarper)

torch.manual_seed(11)
cases = []
for temperature, top_k, top_p, min_p, penalty in itertools.product(
        (0.6, 1.0, 1.7), (0, 1, 5), (1.0, 0.9, 0.3), (0.0, 0.15), (1.0, 1.4)):
    logits = torch.randn(1, 24) * 2
    if top_k == 5 and top_p == 1:  # a tie for the last place; which of two top-p keeps is torch's whim
        logits[0, 3] = logits[0, 8] = logits[0].topk(5).values[-1]
    seen = torch.randperm(24)[:6]
    warpers = LogitsProcessorList()
    if penalty != 1:
        warpers.append(RepetitionPenaltyLogitsProcessor(penalty))
    if temperature != 1:
        warpers.append(TemperatureLogitsWarper(temperature))
    if top_k:
        warpers.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        warpers.append(TopPLogitsWarper(top_p))
    if min_p:
        warpers.append(MinPLogitsWarper(min_p))
    p = warpers(seen[None], logits.clone()).double().softmax(-1)[0]
    cases.append(dict(
        logits=logits[0].tolist(), seen=seen.tolist(),
        options=dict(temperature=temperature, topK=top_k, topP=top_p, minP=min_p, repetitionPenalty=penalty),
        kept={int(i): round(float(p[i]), 9) for i in p.nonzero()[:, 0]}))
path = pathlib.Path(__file__).with_name("warpers.json")
path.write_text(json.dumps(cases))
print(len(cases), path.stat().st_size)
