/** What a layer's graph needs to know of an adapter: where it acts and how strongly. */

import type { DType } from '../runtime/dtypes.js';

/** The linear modules of a layer, by Hugging Face's names, in the order their outputs lie in fused weights. */
export const LINEAR_MODULES = [
  'q_proj',
  'k_proj',
  'v_proj',
  'o_proj',
  'gate_proj',
  'up_proj',
  'down_proj',
] as const;

export type LinearModule = (typeof LINEAR_MODULES)[number];

export interface LoraShape {
  /** Modules with a low-rank update, each at most once. */
  modules: readonly LinearModule[];
  /** lora_alpha / r, or lora_alpha / sqrt(r) with rsLoRA. */
  scale: number;
  /** Share of a module's inputs that the update does not see in training; 0 for none. */
  dropout: number;
}

/** The adapter's inputs of a layer function: `q_proj.A` `[r, in]`, `q_proj.B` `[out, r]`, ..., float32. */
export function adapterInputs(lora: LoraShape | null): Record<string, DType> {
  if (lora === null) return {};
  const factors = lora.modules.flatMap((module) => [
    [`${module}.A`, 'float32' as const],
    [`${module}.B`, 'float32' as const],
  ]);
  return { ...Object.fromEntries(factors), ...(lora.dropout > 0 && { seed: 'int32' as const }) };
}
