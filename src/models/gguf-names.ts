/** llama.cpp's tensor names to Hugging Face's, for the architectures that the decoder has. */

const TOP_LEVEL: Readonly<Record<string, string>> = {
  'token_embd.weight': 'model.embed_tokens.weight',
  'output_norm.weight': 'model.norm.weight',
  'output.weight': 'lm_head.weight',
};

const IN_LAYER: Readonly<Record<string, string>> = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  attn_q_norm: 'self_attn.q_norm',
  attn_k_norm: 'self_attn.k_norm',
  ffn_norm: 'post_attention_layernorm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};

/** `blk.3.attn_q.weight` -> `model.layers.3.self_attn.q_proj.weight`; undefined for a name that no supported model has. */
export function hfNameOf(ggufName: string): string | undefined {
  if (Object.hasOwn(TOP_LEVEL, ggufName)) return TOP_LEVEL[ggufName];
  const match = /^blk\.(0|[1-9]\d{0,4})\.([a-z_]+)\.(weight|bias)$/.exec(ggufName);
  if (match === null) return undefined;
  const [, layer, part, kind] = match as unknown as [string, string, string, string];
  if (!Object.hasOwn(IN_LAYER, part)) return undefined;
  return `model.layers.${Number(layer)}.${IN_LAYER[part]}.${kind}`;
}

/** Llama 3's rotary factors are stored as a tensor; they belong to the configuration. */
export const ROPE_FACTORS_TENSOR = 'rope_freqs.weight';

/**
 * Where row `row` of a llama.cpp query or key projection (of an architecture "llama", Mistral's included)
 * lies in Hugging Face's. llama.cpp rotates neighbouring elements of a head, Hugging Face an element of
 * the first half with its fellow in the second, so that its converter interleaves the halves:
 * `w.reshape(heads, 2, headDim / 2, in).swapaxes(1, 2)`. This is the way back.
 */
export function unpermutedRow(row: number, headDim: number): number {
  const inHead = row % headDim;
  return row - inHead + (inHead % 2) * (headDim / 2) + (inHead >> 1);
}
