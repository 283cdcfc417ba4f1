/** Rotary frequencies of a configuration, as transformers' modeling_rope_utils computes them. */

import type { ModelConfig } from './model-config.js';

/**
 * Angle per position of each pair of coordinates: `theta^(-2 i / hd)`, then scaled as the configuration says.
 *
 * - `linear`: divided by `factor`;
 * - `llama3`: wavelengths longer than `original / lowFreqFactor` are divided by `factor`, those shorter than
 *   `original / highFreqFactor` kept, and those between interpolated.
 *
 * @returns `[hd / 2]`
 */
export function ropeFrequencies({ headDim, ropeTheta, ropeScaling }: ModelConfig): Float32Array {
  const plain = Array.from({ length: headDim / 2 }, (_, i) => ropeTheta ** ((-2 * i) / headDim));
  return Float32Array.from(plain, (frequency) => scaled(frequency, ropeScaling));
}

function scaled(frequency: number, scaling: ModelConfig['ropeScaling']): number {
  switch (scaling.type) {
    case 'default':
      return frequency;
    case 'linear':
      return frequency / scaling.factor;
    case 'llama3': {
      const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings } = scaling;
      const turns = (originalMaxPositionEmbeddings * frequency) / (2 * Math.PI);
      const smooth = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
      const kept = Math.min(1, Math.max(0, smooth));
      return (1 - kept) * (frequency / factor) + kept * frequency;
    }
  }
}
