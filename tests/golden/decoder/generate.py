"""Reference values of four small decoders, computed by transformers.

    pip install torch==2.13.0 transformers==5.17.0 && python generate.py

Writes one Hugging Face folder a model (weights rounded to bfloat16, so that the file is half as long and every
reader has the very same numbers) and `values.json`: logits, log-probabilities and gradients in float32 on the CPU.

`S = sum_t a_t log p(chosen_t) + sum_t b_t log p(rejected_t)` with a_t = cos(t + 1), b_t = sin(t + 1), each response
behind the prompt in a sequence of its own. A gradient is told by three numbers: its sum, the sum of its magnitudes,
and its product with cos(0.37 i), where i counts its elements row by row.
"""
import json, math, pathlib
import torch, transformers
from transformers import (LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config,
                          Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)

HERE = pathlib.Path(__file__).parent
torch.set_num_threads(1)
SIZES = dict(vocab_size=64, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-5, initializer_range=0.15,
             bos_token_id=0, eos_token_id=2)
MODELS = {
    "llama-linear-bias": (LlamaForCausalLM, LlamaConfig(
        **SIZES, attention_bias=True, mlp_bias=True, tie_word_embeddings=False, pad_token_id=1,
        rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0))),
    "mistral-window": (MistralForCausalLM, MistralConfig(
        **SIZES, sliding_window=8, tie_word_embeddings=False, pad_token_id=None, head_dim=8,
        rope_parameters=dict(rope_type="default", rope_theta=10000.0))),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(
        **SIZES, tie_word_embeddings=True, pad_token_id=None,
        rope_parameters=dict(rope_type="default", rope_theta=1000000.0))),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(
        **SIZES, head_dim=12, tie_word_embeddings=True, pad_token_id=None,
        rope_parameters=dict(rope_type="default", rope_theta=1000000.0))),
}


def make(cls, config, seed):
    torch.manual_seed(seed)
    config._attn_implementation = "eager"
    model = cls(config).float().eval()
    with torch.no_grad():  # norms away from 1 and biases away from 0, so that a missing one shows
        for name, p in model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                p.add_(torch.randn_like(p) * 0.2)
            p.copy_(p.bfloat16().float())
    return model


def token_logps(model, prompt, completion):
    ids = torch.tensor([prompt + completion])
    logps = model(ids).logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None])[0, :, 0]
    return logps[len(prompt) - 1:]


def told(gradient):
    flat = gradient.double().flatten()
    pattern = torch.cos(0.37 * torch.arange(flat.numel(), dtype=torch.float64))
    return [float(flat.sum()), float(flat.abs().sum()), float(flat @ pattern)]


values = {}
for number, (name, (cls, config)) in enumerate(MODELS.items()):
    model = make(cls, config, 40 + number)
    g = torch.Generator().manual_seed(50 + number)
    draw = lambda n: torch.randint(3, 64, (n,), generator=g).tolist()
    pair = dict(prompt=draw(13), chosen=draw(11) + [2], rejected=draw(6) + [2])
    with torch.no_grad():
        logits = model(torch.tensor([pair["prompt"] + pair["chosen"]])).logits[0]
    chosen, rejected = (token_logps(model, pair["prompt"], pair[k]) for k in ("chosen", "rejected"))
    weights = lambda f, logps: torch.tensor([f(t + 1) for t in range(len(logps))])
    total = (weights(math.cos, chosen) * chosen).sum() + (weights(math.sin, rejected) * rejected).sum()
    total.backward()
    rounded = lambda xs: [float(f"{x:.8g}") for x in xs]
    values[name] = dict(
        **pair, logits=[rounded(row) for row in logits.tolist()], chosen_logps=rounded(chosen.tolist()),
        rejected_logps=rounded(rejected.tolist()),
        gradients={n: rounded(told(p.grad)) for n, p in model.named_parameters()})
    model.bfloat16().save_pretrained(HERE / name)
    (HERE / name / "generation_config.json").unlink(missing_ok=True)

header = dict(torch=torch.__version__, transformers=transformers.__version__)
with open(HERE / "values.json", "w") as f:
    json.dump(dict(versions=header, models=values), f, separators=(",", ":"))
    f.write("\n")
