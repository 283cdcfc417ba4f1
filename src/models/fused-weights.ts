/** How Hugging Face's weights lie together in the tensors the kernels take. */

import type { ModelConfig } from './model-config.js';

export interface FusedWeight {
  /** Hugging Face's names, in the order their rows lie in the fused tensor. */
  sources: string[];
  /** Whether it enters a matmul (and so has the compute dtype) or is a norm or bias (float32). */
  linear: boolean;
}

/** The weights of layer `layer`: the kernels' name to Hugging Face's names. */
export function fusedWeights(config: ModelConfig, layer: number): Record<string, FusedWeight> {
  const at = (rest: string) => `model.layers.${layer}.${rest}`;
  const matrix = (...modules: string[]): FusedWeight => ({
    sources: modules.map((module) => at(`${module}.weight`)),
    linear: true,
  });
  const bias = (...modules: string[]): FusedWeight => ({
    sources: modules.map((module) => at(`${module}.bias`)),
    linear: false,
  });
  const norm = (module: string): FusedWeight => ({ sources: [at(`${module}.weight`)], linear: false });
  const qkv = ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'];
  return {
    inputNorm: norm('input_layernorm'),
    qkv: matrix(...qkv),
    ...(config.attentionBias && { qkvBias: bias(...qkv) }),
    ...(config.queryKeyNorm && { queryNorm: norm('self_attn.q_norm'), keyNorm: norm('self_attn.k_norm') }),
    output: matrix('self_attn.o_proj'),
    ...(config.attentionOutputBias && { outputBias: bias('self_attn.o_proj') }),
    postNorm: norm('post_attention_layernorm'),
    gate: matrix('mlp.gate_proj'),
    ...(config.mlpBias && { gateBias: bias('mlp.gate_proj') }),
    up: matrix('mlp.up_proj'),
    ...(config.mlpBias && { upBias: bias('mlp.up_proj') }),
    down: matrix('mlp.down_proj'),
    ...(config.mlpBias && { downBias: bias('mlp.down_proj') }),
  };
}

/** Name of the output layer's weight, or null where the embedding serves. */
export function headName(config: ModelConfig): string | null {
  return config.tieWordEmbeddings ? null : 'lm_head.weight';
}
