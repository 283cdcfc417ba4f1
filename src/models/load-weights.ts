/** Weights from files into TensorFlow's memory: read straight into the tensor they become, one at a time. */

import { CheckpointError } from '../errors.js';
import type { ComputeDType } from '../kernels/graph-math.js';
import { allocateTensor, disposeAll, keep, scope, type Tensor } from '../runtime/tensor.js';
import { castTensor, concatRows } from '../runtime/tensor-ops.js';
import { fusedWeights, headName } from './fused-weights.js';
import type { ModelWeights } from './language-model.js';
import type { ModelConfig } from './model-config.js';
import { type WeightInfo, type WeightSource, weightInfo } from './weight-source.js';

export interface LoadWeightsOptions {
  /** What matrices become. */
  dtype: ComputeDType;
  /** Called after each tensor with the bytes read so far and in all. */
  onProgress?: (done: number, total: number) => void;
}

/**
 * Loads all weights of a decoder. Linear weights and the embedding get the compute dtype, norms and biases float32.
 * At most one tensor's file bytes exist beside the weights loaded so far.
 *
 * @throws CheckpointError from the source; what was loaded until then is freed.
 */
export function loadWeights(
  source: WeightSource,
  config: ModelConfig,
  { dtype, onProgress }: LoadWeightsOptions,
): ModelWeights {
  const total = [...source.tensors.values()].reduce((bytes, info) => bytes + info.byteLength, 0);
  let done = 0;
  const load = (names: readonly string[], target: 'float32' | ComputeDType): Tensor => {
    const infos = names.map((name) => weightInfo(source, name));
    const loaded = loadRows(source, infos, target);
    done += infos.reduce((bytes, info) => bytes + info.byteLength, 0);
    onProgress?.(done, total);
    return loaded;
  };
  const loaded: Tensor[] = [];
  const track = (weight: Tensor) => {
    loaded.push(weight);
    return weight;
  };
  try {
    // The largest first: what it takes while it is being converted is free again when the small ones come.
    const embedding = track(load(['model.embed_tokens.weight'], dtype));
    const headWeight = headName(config);
    const head = headWeight === null ? null : track(load([headWeight], dtype));
    const finalNorm = track(load(['model.norm.weight'], 'float32'));
    const layers = Array.from({ length: config.numLayers }, (_, layer) =>
      Object.fromEntries(
        Object.entries(fusedWeights(config, layer)).map(([name, { sources, linear }]) => [
          name,
          track(load(sources, linear ? dtype : 'float32')),
        ]),
      ),
    );
    return { embedding, layers, finalNorm, head };
  } catch (error) {
    disposeAll(loaded);
    throw error;
  }
}

/** Several tensors of one file dtype, one below the other, in `dtype`. */
function loadRows(
  source: WeightSource,
  infos: readonly WeightInfo[],
  dtype: 'float32' | ComputeDType,
): Tensor {
  const groups = sameDtype(infos) ? [infos] : infos.map((info) => [info]);
  return scope(() => {
    const parts = groups.map((group) => castTo(readRows(source, group), dtype));
    return keep(parts.length === 1 ? parts[0]! : concatRows(parts));
  });
}

function readRows(source: WeightSource, infos: readonly WeightInfo[]): Tensor {
  const [first] = infos as [WeightInfo];
  const rows = infos.reduce((sum, { shape }) => sum + (shape[0] ?? 1), 0);
  return allocateTensor(first.dtype, [rows, ...first.shape.slice(1)], (bytes) => {
    let offset = 0;
    for (const info of infos) {
      source.read(info.name, bytes.subarray(offset, offset + info.byteLength));
      offset += info.byteLength;
    }
  });
}

function sameDtype(infos: readonly WeightInfo[]): boolean {
  const columns = (info: WeightInfo) => info.shape.slice(1).join();
  const [first] = infos as [WeightInfo];
  if (infos.some((info) => columns(info) !== columns(first))) {
    throw new CheckpointError(`${infos.map(({ name }) => name).join(', ')} do not have the same width`);
  }
  return infos.every(({ dtype }) => dtype === first.dtype);
}

function castTo(x: Tensor, dtype: 'float32' | ComputeDType): Tensor {
  if (x.dtype === dtype) return x;
  const cast = castTensor(x, dtype);
  x.dispose();
  return cast;
}
