"""Makes the GGUF fixtures of this folder with llama.cpp's own Python package (pip install gguf==0.19.0 numpy).

blocks.json: random blocks of each quantized type, and the float32 values that gguf.quants.dequantize gives.
tiny-*.gguf: one-layer models written by GGUFWriter, query and key rows permuted as llama.cpp's converter does
for "llama" architectures; tiny-*.json: the sha256 of each tensor as float32 in Hugging Face's names and order.
"""

import base64
import hashlib
import json

import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import GGUFWriter
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize, quantize

rng = np.random.default_rng(20260501)
b64 = lambda a: base64.b64encode(np.ascontiguousarray(a).tobytes()).decode()

# byte positions of the half-precision scales in a block: random there would give infinities and NaN
SCALES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82],
          "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}
cases = {}
for name, places in SCALES.items():
    size, bytes_ = GGML_QUANT_SIZES[T[name]]
    n = 2 if size == 256 else 4
    blocks = rng.integers(0, 256, (n, bytes_), dtype=np.uint8)
    for at in places:
        scale = (rng.standard_normal(n) * np.exp(rng.uniform(-12, 3, n))).astype(np.float16)
        blocks[:, at : at + 2] = scale.view(np.uint8).reshape(n, 2)
    cases[name] = {"blocks": b64(blocks), "values": b64(dequantize(blocks, T[name]).astype("<f4"))}
json.dump(cases, open("blocks.json", "w"), indent=1)


def permute(w, heads):
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def tiny(file, arch, types, heads, kv, width, hidden, ffn, vocab, bias=False, qk_norm=False, tied=False, rope_factors=None):
    out = GGUFWriter(file + ".gguf", arch)
    out.add_name("tiny")
    out.add_context_length(64)
    out.add_embedding_length(hidden)
    out.add_block_count(1)
    out.add_feed_forward_length(ffn)
    out.add_head_count(heads)
    out.add_head_count_kv(kv)
    out.add_key_length(width)
    out.add_value_length(width)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_freq_base(500000.0)
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_token_list([f"t{i}" for i in range(vocab)])
    hashes = {}

    def add(gguf_name, hf_name, shape, heads_of=None):
        kind = T.F32 if len(shape) == 1 else types[len(hashes) % len(types)]
        w = rng.standard_normal(shape).astype(np.float32)
        stored = permute(w, heads_of) if heads_of and arch == "llama" else w
        if kind == T.F32:
            data = stored
        elif kind == T.F16:
            data = stored.astype(np.float16)
        else:
            data = quantize(stored, kind)
        if kind in (T.F32, T.F16):
            out.add_tensor(gguf_name, data)
            values = data.astype(np.float32)
        else:
            out.add_tensor(gguf_name, data, raw_dtype=kind)
            values = dequantize(data, kind)
        if heads_of and arch == "llama":  # back to Hugging Face's order, on the stored values
            values = values.reshape(heads_of, shape[0] // heads_of // 2, 2, *shape[1:]).swapaxes(1, 2).reshape(shape)
        hashes[hf_name] = hashlib.sha256(np.ascontiguousarray(values.astype("<f4")).tobytes()).hexdigest()

    layer, b = "model.layers.0.", "blk.0."
    add("token_embd.weight", "model.embed_tokens.weight", (vocab, hidden))
    add(b + "attn_norm.weight", layer + "input_layernorm.weight", (hidden,))
    for short, n, p in (("q", heads, heads), ("k", kv, kv), ("v", kv, None)):
        add(f"{b}attn_{short}.weight", f"{layer}self_attn.{short}_proj.weight", (n * width, hidden), p)
        if bias:
            add(f"{b}attn_{short}.bias", f"{layer}self_attn.{short}_proj.bias", (n * width,), p)
    if qk_norm:
        add(b + "attn_q_norm.weight", layer + "self_attn.q_norm.weight", (width,))
        add(b + "attn_k_norm.weight", layer + "self_attn.k_norm.weight", (width,))
    add(b + "attn_output.weight", layer + "self_attn.o_proj.weight", (hidden, heads * width))
    add(b + "ffn_norm.weight", layer + "post_attention_layernorm.weight", (hidden,))
    add(b + "ffn_gate.weight", layer + "mlp.gate_proj.weight", (ffn, hidden))
    add(b + "ffn_up.weight", layer + "mlp.up_proj.weight", (ffn, hidden))
    add(b + "ffn_down.weight", layer + "mlp.down_proj.weight", (hidden, ffn))
    add("output_norm.weight", "model.norm.weight", (hidden,))
    if not tied:
        add("output.weight", "lm_head.weight", (vocab, hidden))
    if rope_factors is not None:
        out.add_tensor("rope_freqs.weight", rope_factors)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    json.dump(hashes, open(file + ".json", "w"), indent=1)


def llama3_factors(theta, width, factor, low, high, context):
    """The table that llama.cpp's converter writes for Llama 3.1."""
    freqs = 1.0 / (theta ** (np.arange(0, width, 2, dtype=np.float32) / width))
    result = []
    for freq in freqs:
        wavelength = 2 * np.pi / freq
        if wavelength < context / high:
            result.append(1)
        elif wavelength > context / low:
            result.append(factor)
        else:
            smooth = (context / wavelength - low) / (high - low)
            result.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(result, dtype=np.float32)


tiny("tiny-llama", "llama", [T.Q4_0, T.F16, T.Q5_0, T.BF16, T.Q4_1, T.Q8_0, T.F32, T.Q5_1], heads=4, kv=2, width=16,
     hidden=64, ffn=96, vocab=32, rope_factors=llama3_factors(500000.0, 16, 8.0, 1.0, 4.0, 8192))
tiny("tiny-qwen2", "qwen2", [T.Q8_0, T.BF16, T.F32], heads=2, kv=1, width=16, hidden=32, ffn=64, vocab=32, bias=True, tied=True)
tiny("tiny-qwen3", "qwen3", [T.F16, T.Q4_0], heads=2, kv=1, width=32, hidden=32, ffn=64, vocab=32, qk_norm=True, tied=True)
