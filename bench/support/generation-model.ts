/** The model that generation is measured with: random weights of SmolLM2-135M's shape, or a folder's. */

import type { ComputeDType } from '../../src/kernels/graph-math.js';
import { LanguageModel } from '../../src/models/language-model.js';
import { loadWeights } from '../../src/models/load-weights.js';
import { loadModelFiles } from '../../src/models/model-files.js';
import { randomModel, SMOLLM2_135M } from './random-model.js';

export interface GenerationModelRequest {
  dtype: ComputeDType;
  layers: number;
  /** Folder or GGUF file of a model; null for random weights. */
  model: string | null;
}

export function generationModel({ dtype, layers, model }: GenerationModelRequest): LanguageModel {
  if (model === null) return randomModel({ ...SMOLLM2_135M, numLayers: layers }, dtype);
  const { config, weights } = loadModelFiles(model);
  try {
    return new LanguageModel(config, dtype, loadWeights(weights, config, { dtype }));
  } finally {
    weights.close();
  }
}

/** A prompt that differs from others with another `seed` from its first token on. */
export function somePrompt(tokens: number, vocabSize: number, seed = 0): number[] {
  return Array.from({ length: tokens }, (_, i) => 3 + ((i * 7919 + 13 + 101 * seed) % (vocabSize - 3)));
}
