/** How many tokens a second a machine can decode at most, by its memory and by its arithmetic. */

import { moduleSize } from '../../src/models/linear-modules.js';
import { LINEAR_MODULES } from '../../src/models/lora-shape.js';
import type { ModelConfig } from '../../src/models/model-config.js';

export interface DecodeLimits {
  /** Every weight read once a step, two bytes each, and nothing else. */
  memoryTokensPerSecond: number;
  /** The matrix products of a token alone, attention included. */
  matmulTokensPerSecond: number;
}

/**
 * @param sequences Decoded together
 * @param context Tokens that one attends to, on average
 * @param bytesPerSecond Of reading memory
 * @param flopsPerSecond Of a large matrix product
 */
export function decodeLimits(
  config: ModelConfig,
  { sequences, context }: { sequences: number; context: number },
  { bytesPerSecond, flopsPerSecond }: { bytesPerSecond: number; flopsPerSecond: number },
): DecodeLimits {
  const layer = LINEAR_MODULES.map((module) => moduleSize(config, module)).reduce(
    (sum, { inputs, outputs }) => sum + inputs * outputs,
    0,
  );
  const weights = config.numLayers * layer + config.vocabSize * config.hiddenSize;
  const attention = 4 * config.numLayers * context * config.numHeads * config.headDim;
  return {
    memoryTokensPerSecond: (sequences * bytesPerSecond) / (2 * weights),
    matmulTokensPerSecond: flopsPerSecond / (2 * weights + attention),
  };
}
