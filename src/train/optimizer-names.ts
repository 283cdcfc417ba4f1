/** The optimizer by the names that transformers has for it. */

import type { AdamWOptions } from './adamw-state.js';

/** Each name to the one that is written down. They differ in what the moments are kept in, or in nothing. */
export const OPTIMIZER_NAMES = {
  adamw_torch: 'adamw_torch',
  adamw_torch_fused: 'adamw_torch',
  adamw_hf: 'adamw_torch',
  adamw: 'adamw_torch',
  adamw_8bit: 'adamw_8bit',
  adamw_bnb_8bit: 'adamw_8bit',
} as const;

export type OptimizerName = (typeof OPTIMIZER_NAMES)[keyof typeof OPTIMIZER_NAMES];

/** The options of a run that say how weights are updated. */
export interface OptimizerOptions {
  optim: OptimizerName;
  adamBeta1: number;
  adamBeta2: number;
  adamEpsilon: number;
  weightDecay: number;
}

export function adamWOptions(options: OptimizerOptions): Required<AdamWOptions> {
  return {
    beta1: options.adamBeta1,
    beta2: options.adamBeta2,
    epsilon: options.adamEpsilon,
    weightDecay: options.weightDecay,
    moments: momentsOf(options.optim),
  };
}

/** What an optimizer keeps its moments in. */
export function momentsOf(optim: OptimizerName): 'float32' | '8bit' {
  return optim === 'adamw_8bit' ? '8bit' : 'float32';
}
