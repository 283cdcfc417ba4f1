/** Saving a model from memory. */

import { CheckpointError } from '../errors.js';
import type { ComputeDType } from '../kernels/graph-math.js';
import { hfTensors, type MasterWeights } from './hf-tensors.js';
import type { LoadedModel } from './load-model.js';
import { type WriteModelOptions, writeModelFolder } from './model-folder.js';

/** How a model is written. */
export interface SaveModelOptions extends WriteModelOptions {
  /** What the weights are stored in. Default: the model's compute dtype. */
  dtype?: ComputeDType;
  /** Finer weights than those in the model, by parameter: an optimizer's float32 masters. Default: none. */
  weights?: MasterWeights;
}

/**
 * Saves a model as a Hugging Face folder that transformers, vLLM and llama.cpp's converter read: safetensors in shards
 * of at most 5 GB, the configuration and the tokenizer it was loaded with (written anew for a model from GGUF). Weights
 * leave the device one tensor at a time; the folder appears whole or not at all.
 *
 * @throws CheckpointError when the folder is not empty or cannot be written, or the model has an adapter: saving would
 * leave it out (see `mergeAdapter` and `saveAdapter`)
 */
export async function saveModel(
  { model, origin }: Pick<LoadedModel, 'model' | 'origin'>,
  folder: string,
  { dtype = model.dtype, weights, ...options }: SaveModelOptions = {},
): Promise<void> {
  if (model.adapter !== null) {
    throw new CheckpointError(
      'The model has an adapter, which a saved model would lack: merge it first, or save the adapter.',
    );
  }
  const tensors = hfTensors(model, dtype, weights);
  writeModelFolder(folder, { config: model.config, origin, dtype, tensors }, options);
}
