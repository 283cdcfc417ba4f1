/** Arithmetic that a training step cannot do without: what is recomputed, masked or padded does not count. */

import { moduleSize } from '../../src/models/linear-modules.js';
import { LINEAR_MODULES } from '../../src/models/lora-shape.js';
import type { ModelConfig } from '../../src/models/model-config.js';

/** Tokens of a pair: prompt, chosen, rejected. */
export type PairLengths = readonly [prompt: number, chosen: number, rejected: number];

/** Floating-point operations (a multiply-add is two) by part of the step. */
export interface StepFlops {
  layersForward: number;
  headForward: number;
  headBackward: number;
  layersBackward: number;
}

/**
 * Operations of matrix products in one step. A product's backward pass takes two more of its size, one for the
 * input and one for the weight; with a LoRA adapter of `loraRank` on all linear layers only its own factors need
 * the second. Attention counts each query with the keys that it sees, and nothing above the diagonal.
 */
export function stepFlops(config: ModelConfig, pairs: readonly PairLengths[], loraRank: number): StepFlops {
  const sum = (count: (pair: PairLengths) => number) => pairs.reduce((total, pair) => total + count(pair), 0);
  const tokens = sum(([p, c, r]) => p + c + r);
  const completions = sum(([, c, r]) => c + r);
  const seen = sum(([p, c, r]) => (p * (p + 1) + c * (c + 1) + r * (r + 1)) / 2 + p * (c + r));
  const sizes = LINEAR_MODULES.map((module) => moduleSize(config, module));
  const dense = 2 * tokens * sizes.reduce((total, { inputs, outputs }) => total + inputs * outputs, 0);
  const lowRank =
    2 * tokens * loraRank * sizes.reduce((total, { inputs, outputs }) => total + inputs + outputs, 0);
  const attention = 4 * seen * config.numHeads * config.headDim;
  const head = 2 * completions * config.hiddenSize * config.vocabSize;
  const full = loraRank === 0;
  return {
    layersForward: config.numLayers * (dense + lowRank + attention),
    headForward: head,
    headBackward: (full ? 2 : 1) * head,
    layersBackward: config.numLayers * ((full ? 2 : 1) * dense + 2 * lowRank + 2 * attention),
  };
}

export function totalFlops(flops: StepFlops): number {
  return flops.layersForward + flops.headForward + flops.headBackward + flops.layersBackward;
}
