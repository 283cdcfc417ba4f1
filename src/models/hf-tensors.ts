/** A model's weights under Hugging Face's names: the fused tensors taken apart, one at a time. */

import type { ComputeDType } from '../kernels/graph-math.js';
import { attr } from '../runtime/attributes.js';
import { execute } from '../runtime/execute.js';
import { scope, type Tensor, tensor } from '../runtime/tensor.js';
import { castTensor } from '../runtime/tensor-ops.js';
import { fusedWeights, headName } from './fused-weights.js';
import type { LanguageModel } from './language-model.js';
import { expectedWeights, type ModelConfig } from './model-config.js';
import type { TensorToWrite } from './safetensors-write.js';

/** Gives a parameter (`layers.0.qkv`) in float32 where there is a finer one than the model's; else undefined. */
export type MasterWeights = (id: string) => Tensor | undefined;

/** A weight's rows in one of the model's parameters. */
interface Place {
  id: string;
  firstRow: number;
}

/**
 * All weights in `dtype`, read from the device one after another when they are written. A tensor that `masters` makes
 * for the call is freed after use; one that lives elsewhere stays.
 */
export function hfTensors(
  model: LanguageModel,
  dtype: ComputeDType,
  masters: MasterWeights = () => undefined,
): TensorToWrite[] {
  const places = weightPlaces(model.config);
  return expectedWeights(model.config).map(({ name, shape }) => {
    const { id, firstRow } = places.get(name)!;
    return {
      name,
      dtype,
      shape,
      bytes: () =>
        scope(() => {
          const source = masters(id) ?? model.parameter(id);
          return bytesOf(castTo(rowsOf(source, firstRow, shape[0]!), dtype));
        }),
    };
  });
}

/** Which rows of which parameter each of Hugging Face's weights is. */
function weightPlaces(config: ModelConfig): Map<string, Place> {
  const rows = new Map(expectedWeights(config).map(({ name, shape }) => [name, shape[0]!]));
  const places = new Map<string, Place>([
    ['model.embed_tokens.weight', { id: 'embedding', firstRow: 0 }],
    ['model.norm.weight', { id: 'finalNorm', firstRow: 0 }],
  ]);
  const head = headName(config);
  if (head !== null) places.set(head, { id: 'head', firstRow: 0 });
  for (let layer = 0; layer < config.numLayers; layer++) {
    for (const [name, { sources }] of Object.entries(fusedWeights(config, layer))) {
      let firstRow = 0;
      for (const source of sources) {
        places.set(source, { id: `layers.${layer}.${name}`, firstRow });
        firstRow += rows.get(source)!;
      }
    }
  }
  return places;
}

function rowsOf(source: Tensor, firstRow: number, rows: number): Tensor {
  if (source.shape[0] === rows) return source;
  const rest = source.shape.slice(1);
  const begin = tensor('int32', [rest.length + 1], [firstRow, ...rest.map(() => 0)]);
  const size = tensor('int32', [rest.length + 1], [rows, ...rest]);
  const attributes = { T: attr.type(source.dtype), Index: attr.type('int32') };
  return execute('Slice', [source, begin, size], attributes)[0]!;
}

/** `x` in `dtype`; itself where it has it already. */
export function castTo(x: Tensor, dtype: ComputeDType): Tensor {
  return x.dtype === dtype ? x : castTensor(x, dtype);
}

/** A tensor's elements as little-endian bytes. */
export function bytesOf(x: Tensor): Uint8Array {
  const { buffer, byteOffset, byteLength } = x.data();
  return new Uint8Array(buffer, byteOffset, byteLength);
}
