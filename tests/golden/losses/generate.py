"""Writes trl-dpo-cases.json: TRL's own DPO loss on one batch, with its gradient for each token's log-probability.

Run with: python generate.py REFERENCE_DIR   (torch 2.13, transformers 5.17, trl 1.13; REFERENCE_DIR holds
reference/golden with dpo-cases.json and the checkpoints llama31 and llama31-ref.)

`DPOTrainer._compute_loss` runs unchanged, on a stand-in for the trainer and on logits that are a leaf. Since
d logp / d logit of the label is 1 - p, the gradient of a token's log-probability is that of its label's logit
divided by 1 - p.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import torch
from transformers import LlamaForCausalLM
from trl import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.utils import selective_log_softmax

torch.set_num_threads(1)
golden = Path(sys.argv[1]) / "reference" / "golden"
source = json.loads((golden / "dpo-cases.json").read_text())


def as_trl_tokenized(ids):
    """The ids TRL computed on. The reference wrote id n as the word "tn", but its tokenizer has the special tokens
    "t1" and "t2", which are split off the front of longer words: "t289" is read as t2 and the unknown word "89"."""
    return [t for i in ids for t in ([int(str(i)[0]), 0] if i > 9 and str(i)[0] in "12" else [i])]


pairs = [{key: as_trl_tokenized(p[key]) for key in ("prompt", "chosen", "rejected")} for p in source["pairs"]]

rows = [p["prompt"] + p[key] for key in ("chosen", "rejected") for p in pairs]
lengths = [(len(p["prompt"]), len(p[key])) for key in ("chosen", "rejected") for p in pairs]
width = max(map(len, rows))
inputs = {
    "input_ids": torch.tensor([row + [1] * (width - len(row)) for row in rows]),
    "attention_mask": torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows]),
    "completion_mask": torch.tensor([[0] * p + [1] * c + [0] * (width - p - c) for p, c in lengths]),
}


def logits_of(name):
    model = LlamaForCausalLM.from_pretrained(golden / name, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        return model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits


def packed(values):  # [rows, width - 1] -> chosen_0, rejected_0, chosen_1, ...
    n, out = len(pairs), []
    for row in (r for i in range(n) for r in (i, n + i)):
        prompt, completion = lengths[row]
        out += values[row, prompt - 1 : prompt - 1 + completion].tolist()
    return out


policy, reference = logits_of("llama31"), logits_of("llama31-ref")
labels = inputs["input_ids"][:, 1:]
logps = selective_log_softmax(policy[:, :-1], labels)
log_sum_squares = torch.logsumexp(2 * policy[:, :-1], -1) - 2 * torch.logsumexp(policy[:, :-1], -1)


def trl_case(options):
    config = DPOConfig(output_dir="unused", use_cpu=True, bf16=False, report_to=[], **options)
    gather = lambda x: x
    trainer = SimpleNamespace(
        args=config, beta=config.beta, loss_types=config.loss_type, ld_alpha=config.ld_alpha,
        loss_weights=config.loss_weights or [1.0] * len(config.loss_type), label_smoothing=config.label_smoothing,
        f_divergence_type=config.f_divergence_type, f_alpha_divergence_coef=config.f_alpha_divergence_coef,
        use_weighting=config.use_weighting, aux_loss_enabled=False, precompute_ref_logps=False, _tp_size=1,
        _total_train_tokens=0, _metrics={"train": defaultdict(list)}, model=SimpleNamespace(training=True, is_gradient_checkpointing=False),
        ref_model=lambda **_: SimpleNamespace(logits=reference),
        accelerator=SimpleNamespace(device="cpu", gather=gather, gather_for_metrics=gather),
    )
    leaf = policy.clone().requires_grad_()
    loss = DPOTrainer._compute_loss(trainer, lambda **_: SimpleNamespace(logits=leaf), inputs, False)
    loss.backward()
    label_gradient = leaf.grad[:, :-1].gather(-1, labels[..., None])[..., 0]
    return dict(
        options=options,
        loss=float(loss.detach()),
        metrics={k: v[-1] for k, v in trainer._metrics["train"].items()},
        token_gradients=packed(label_gradient / (1 - logps.exp())),
    )



extra = [
    dict(loss_type=["ipo"], beta=0.3),
    dict(loss_type=["aot"], label_smoothing=0.1),
    dict(loss_type=["aot_unpaired"], label_smoothing=0.1),
    dict(loss_type=["nca_pair", "bco_pair"], loss_weights=[0.5, 2.0], ld_alpha=0.25, use_weighting=True),
    dict(loss_type=["sft"], ld_alpha=0.5),
    dict(loss_type=["discopop"], discopop_tau=0.2, f_divergence_type="js_divergence"),
    dict(loss_type=["exo_pair"], label_smoothing=0.001, f_divergence_type="alpha_divergence", f_alpha_divergence_coef=0.9),
    dict(loss_type=["sigmoid"], ld_alpha=0.0),
]
cases = [trl_case(o) for o in [c["options"] for c in source["cases"]] + extra]
for case, known in zip(cases, source["cases"]):
    assert abs(case["loss"] - known["loss"]) <= 1e-5 * abs(known["loss"]), (case["loss"], known)
digits = lambda xs: [float(f"{x:.8g}") for x in xs]
out = dict(
    versions=source["versions"],
    lengths=[[len(p["chosen"]), len(p["rejected"])] for p in pairs],
    policy_logps=digits(packed(logps)),
    reference_logps=digits(packed(selective_log_softmax(reference[:, :-1], labels))),
    policy_log_sum_squares=digits(packed(log_sum_squares)),
    cases=[{**c, "token_gradients": digits(c["token_gradients"])} for c in cases],
)
target = Path(__file__).parent / "trl-dpo-cases.json"
target.write_text(json.dumps(out, separators=(",", ":")) + "\n")
print(f"{len(cases)} cases written to {target}")
