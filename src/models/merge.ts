/** Putting a LoRA adapter into the weights it acts on: `W + scale B A`, in float32. */

import { CheckpointError } from '../errors.js';
import type { ComputeDType } from '../kernels/graph-math.js';
import { attr } from '../runtime/attributes.js';
import { execute } from '../runtime/execute.js';
import { type RuntimeOptions, startRuntime } from '../runtime/runtime.js';
import { scope, type Tensor, tensor } from '../runtime/tensor.js';
import { concatRows } from '../runtime/tensor-ops.js';
import { loadAdapter } from './adapter-files.js';
import { fusedWeights } from './fused-weights.js';
import { bytesOf, castTo } from './hf-tensors.js';
import type { HubOptions } from './hub-options.js';
import type { LanguageModel } from './language-model.js';
import { modulePlaces, moduleSize } from './linear-modules.js';
import type { LoraAdapter } from './lora-adapter.js';
import type { LinearModule } from './lora-shape.js';
import { expectedWeights, type ModelConfig } from './model-config.js';
import { loadModelFiles } from './model-files.js';
import { checkModelTarget, type WriteModelOptions, writeModelFolder } from './model-folder.js';
import { resolveModel } from './model-location.js';
import type { TensorToWrite } from './safetensors-write.js';
import { readFloat32, type WeightSource } from './weight-source.js';

/**
 * Merges the model's adapter into its weights and frees it: the model answers as before, without the adapter's work.
 * In bfloat16 the sums are rounded.
 *
 * @throws CheckpointError when the model has no adapter
 */
export function mergeAdapter(model: LanguageModel): void {
  const adapter = model.detach();
  if (adapter === null) throw new CheckpointError('The model has no adapter to merge.');
  try {
    for (let layer = 0; layer < model.config.numLayers; layer++) mergeLayer(model, adapter, layer);
  } finally {
    adapter.dispose();
  }
}

function mergeLayer(model: LanguageModel, adapter: LoraAdapter, layer: number): void {
  for (const name of Object.keys(fusedWeights(model.config, layer))) {
    const id = `layers.${layer}.${name}`;
    const merged = scope(() => {
      const sum = mergedWeight(model, adapter, id);
      return sum === undefined ? undefined : castTo(sum, model.dtype);
    });
    if (merged !== undefined) model.replace(id, merged);
  }
}

/**
 * The weight called `id` (as in `LanguageModel.entries`) with the adapter's update, float32, or undefined where the
 * adapter does not act on it. The model stays as it is; the caller, or its scope, frees the sum.
 */
export function mergedWeight(model: LanguageModel, adapter: LoraAdapter, id: string): Tensor | undefined {
  const match = /^layers\.(\d+)\.(\w+)$/.exec(id);
  if (match === null) return undefined;
  const layer = Number(match[1]);
  const fused = fusedWeights(model.config, layer)[match[2] as string];
  const modules = fused?.sources.map((source) => moduleOf(source)) ?? [];
  if (!modules.some((module) => module !== undefined && adapter.config.modules.includes(module))) {
    return undefined;
  }
  return scope(() => {
    const updates = modules.map((module) => updateOrZeros(model.config, adapter, layer, module!));
    const update = updates.length === 1 ? updates[0]! : concatRows(updates);
    return add(castTo(model.parameter(id), 'float32'), update);
  });
}

/** The linear module that a matrix of Hugging Face's belongs to; undefined for norms and biases. */
function moduleOf(name: string): LinearModule | undefined {
  return /\.(\w+_proj)\.weight$/.exec(name)?.[1] as LinearModule | undefined;
}

function updateOrZeros(
  config: ModelConfig,
  adapter: LoraAdapter,
  layer: number,
  module: LinearModule,
): Tensor {
  if (adapter.config.modules.includes(module)) return updateOf(adapter, layer, module);
  const { inputs, outputs } = moduleSize(config, module);
  return tensor('float32', [outputs, inputs], new Float32Array(outputs * inputs));
}

/** `scale B A`, float32 `[out, in]`. */
function updateOf(adapter: LoraAdapter, layer: number, module: LinearModule): Tensor {
  const factors = adapter.layers[layer]!;
  const [product] = execute('MatMul', [factors[`${module}.B`]!, factors[`${module}.A`]!], {
    T: attr.type('float32'),
  });
  const scale = tensor('float32', [], [adapter.shape(false).scale]);
  return execute('Mul', [product!, scale], { T: attr.type('float32') })[0]!;
}

function add(a: Tensor, b: Tensor): Tensor {
  return execute('AddV2', [a, b], { T: attr.type('float32') })[0]!;
}

export interface MergeToFolderOptions extends WriteModelOptions, Pick<RuntimeOptions, 'device' | 'threads'> {
  /** What the sums are stored in. Default `bfloat16`. */
  dtype?: ComputeDType;
  /** How to reach the Hugging Face Hub. Default: the public endpoint without a token. */
  hub?: HubOptions;
  /** Called after each tensor with the bytes of weights read so far and in all. */
  onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/**
 * Merges the adapter in `adapterFolder` into its base model (folder, GGUF file or Hub id) and saves the sum as a Hugging
 * Face folder, one tensor at a time: the model is never in memory as a whole, and sums are made from the weights as
 * they are in the files, in float32.
 *
 * @throws CheckpointError naming file and problem; nothing is left in `folder` then
 */
export async function mergeToFolder(
  pathOrId: string,
  adapterFolder: string,
  folder: string,
  options: MergeToFolderOptions = {},
): Promise<void> {
  const { dtype = 'bfloat16', device, threads, hub, onProgress, ...writeOptions } = options;
  checkModelTarget(folder);
  const location = await resolveModel(pathOrId, hub === undefined ? {} : { hub });
  startRuntime({ ...(device && { device }), ...(threads !== undefined && { threads }) });
  const { config, configJson, generationConfig, weights } = loadModelFiles(location.path);
  try {
    const adapter = loadAdapter(adapterFolder, config);
    try {
      const origin = { kind: location.kind, path: location.path, configJson, generationConfig };
      const tensors = mergedTensors(weights, config, adapter, dtype, onProgress);
      writeModelFolder(folder, { config, origin, dtype, tensors }, writeOptions);
    } finally {
      adapter.dispose();
    }
  } finally {
    weights.close();
  }
}

function mergedTensors(
  weights: WeightSource,
  config: ModelConfig,
  adapter: LoraAdapter,
  dtype: ComputeDType,
  onProgress: MergeToFolderOptions['onProgress'],
): TensorToWrite[] {
  const places = modulePlaces(config);
  const expected = expectedWeights(config);
  const sizeOf = (name: string) => weights.tensors.get(name)!.byteLength;
  const total = expected.reduce((sum, { name }) => sum + sizeOf(name), 0);
  let done = 0;
  return expected.map(({ name, shape }) => ({
    name,
    dtype,
    shape,
    bytes: () =>
      scope(() => {
        const base = tensor('float32', shape, readFloat32(weights, name));
        const place = name.endsWith('.weight') ? places.get(name.slice(0, -'.weight'.length)) : undefined;
        const adapted = place !== undefined && adapter.config.modules.includes(place.module);
        const sum = adapted ? add(base, updateOf(adapter, place.layer, place.module)) : base;
        const bytes = bytesOf(castTo(sum, dtype));
        done += sizeOf(name);
        onProgress?.(done, total);
        return bytes;
      }),
  }));
}
