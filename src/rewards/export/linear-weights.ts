/** A model's weights as nodes of a graph, in the numbers that the export stores. */

import { readFloat32, type WeightSource, weightInfo } from '../../models/weight-source.js';
import type { RewardDType } from './export-options.js';
import { type GraphBuilder, MICROSOFT } from './graph-builder.js';
import { ELEMENT_TYPES } from './onnx-proto.js';
import { BLOCK, quantizedBlocks, toFloat16, transposed, ZERO } from './weight-numbers.js';

/**
 * Weights are rounded blockwise, what they are multiplied with is not: 1 is float32 for the latter, by ONNX Runtime's
 * table of accuracy levels.
 */
const FLOAT32_ACCURACY = 1;

/** Gives graph nodes that use the weights of one checkpoint. */
export class LinearWeights {
  readonly #builder: GraphBuilder;
  readonly #source: WeightSource;
  readonly #dtype: RewardDType;

  constructor(builder: GraphBuilder, source: WeightSource, dtype: RewardDType) {
    this.#builder = builder;
    this.#source = source;
    this.#dtype = dtype;
  }

  /** `x W^T + b` of a linear layer `W` `[out, in]`; `x` is `[..., in]`. */
  linear(x: string, module: string): string {
    const product = this.#product(x, `${module}.weight`);
    const bias = `${module}.bias`;
    return this.#source.tensors.has(bias) ? this.#builder.add('Add', [product, this.vector(bias)]) : product;
  }

  /** A norm's weight or a bias, float32. */
  vector(name: string): string {
    const { shape } = weightInfo(this.#source, name);
    return this.#builder.tensor(name, 'float32', shape, () => bytesOf(readFloat32(this.#source, name)));
  }

  /** A matrix `[out, in]` that is multiplied with in float32 whatever the export stores, for the head. */
  head(x: string, name: string): string {
    const [rows, columns] = this.#shape(name);
    const weight = this.#builder.tensor(name, 'float32', [columns, rows], () =>
      bytesOf(transposed(readFloat32(this.#source, name), rows, columns)),
    );
    return this.#builder.add('MatMul', [x, weight]);
  }

  /** Rows of a matrix by their numbers, float32. */
  embedding(ids: string, name: string): string {
    const builder = this.#builder;
    const [rows, columns] = this.#shape(name);
    const read = () => readFloat32(this.#source, name);
    const cast = (x: string) => builder.add('Cast', [x], { attributes: { to: ELEMENT_TYPES.float32 } });
    switch (this.#dtype) {
      case 'float32':
        return builder.add('Gather', [
          builder.tensor(name, 'float32', [rows, columns], () => bytesOf(read())),
          ids,
        ]);
      case 'float16': {
        const table = builder.tensor(name, 'float16', [rows, columns], () =>
          bytesOf(toFloat16(read(), name)),
        );
        return cast(builder.add('Gather', [table, ids]));
      }
      case 'int8': {
        const { codes, scales, blocks } = this.#quantized(name, rows, columns);
        const shifted = builder.add('Sub', [cast(builder.add('Gather', [codes, ids])), builder.float(ZERO)]);
        const row = builder.add('Mul', [
          shifted,
          builder.add('Unsqueeze', [builder.add('Gather', [scales, ids]), builder.ints(-1)]),
        ]);
        const padded = builder.add('Reshape', [row, builder.ints(0, 0, blocks * BLOCK)]);
        return blocks * BLOCK === columns
          ? padded
          : builder.add('Slice', [padded, builder.ints(0), builder.ints(columns), builder.ints(-1)]);
      }
    }
  }

  #product(x: string, name: string): string {
    const builder = this.#builder;
    const [rows, columns] = this.#shape(name);
    const read = () => readFloat32(this.#source, name);
    switch (this.#dtype) {
      case 'float32': {
        const weight = builder.tensor(name, 'float32', [columns, rows], () =>
          bytesOf(transposed(read(), rows, columns)),
        );
        return builder.add('MatMul', [x, weight]);
      }
      case 'float16': {
        const weight = builder.tensor(name, 'float16', [columns, rows], () =>
          bytesOf(toFloat16(transposed(read(), rows, columns), name)),
        );
        // Of a constant ONNX Runtime does this once, when the model is loaded.
        const wide = builder.add('Cast', [weight], { attributes: { to: ELEMENT_TYPES.float32 } });
        return builder.add('MatMul', [x, wide]);
      }
      case 'int8': {
        const { codes, scales } = this.#quantized(name, rows, columns);
        return builder.add('MatMulNBits', [x, codes, scales], {
          domain: MICROSOFT,
          attributes: { K: columns, N: rows, bits: 8, block_size: BLOCK, accuracy_level: FLOAT32_ACCURACY },
        });
      }
    }
  }

  /** A matrix's codes `[rows, blocks, BLOCK]` and scales `[rows, blocks]`. */
  #quantized(name: string, rows: number, columns: number): { codes: string; scales: string; blocks: number } {
    const blocks = Math.ceil(columns / BLOCK);
    const quantized = lastOf(() => quantizedBlocks(readFloat32(this.#source, name), rows, columns));
    const codes = this.#builder.tensor(`${name}.codes`, 'uint8', [rows, blocks, BLOCK], () =>
      bytesOf(quantized.first().codes),
    );
    const scales = this.#builder.tensor(`${name}.scales`, 'float32', [rows, blocks], () =>
      bytesOf(quantized.last().scales),
    );
    return { codes, scales, blocks };
  }

  #shape(name: string): [rows: number, columns: number] {
    return weightInfo(this.#source, name).shape as [number, number];
  }
}

/** What two tensors are made from: made for the first, forgotten with the second, which follows it in the file. */
function lastOf<Value>(make: () => Value): { first(): Value; last(): Value } {
  let value: Value | undefined;
  return {
    first: () => {
      value = make();
      return value;
    },
    last: () => {
      const made = value ?? make();
      value = undefined;
      return made;
    },
  };
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array | Uint16Array | Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
