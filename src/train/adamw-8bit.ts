/**
 * A parameter's state with moments of 8 bits (Dettmers et al. 2022): the weight in float32, each moment a code of one
 * byte a number and a scale for 256 of them. An update unpacks a piece of them, computes in float32, moves the weights
 * by the moments as they are then, and packs these again; all in place, a piece at a time, so that what an update
 * takes beside the state does not grow with the parameter.
 */

import { codeValues, QUANTIZATION_BLOCK } from '../kernels/block-quantization.js';
import { attr } from '../runtime/attributes.js';
import { elementCount } from '../runtime/dtypes.js';
import { execute } from '../runtime/execute.js';
import { callNamed } from '../runtime/named-function.js';
import { disposeAll, keep, scope, shareTensor, type Tensor, tensor } from '../runtime/tensor.js';
import { castTensor, filled, zeros } from '../runtime/tensor-ops.js';
import { type MomentTables, updateFunction } from './adamw-8bit-update.js';
import type { ParameterState, StateTensor, UpdateConstants } from './adamw-state.js';
import type { GradientStore } from './gradient-store.js';
import type { TrainableParameter } from './trainable-parameters.js';

/** Smaller parameters keep float32 moments, as in bitsandbytes. */
export const LEAST_QUANTIZED = 4096;

/** Numbers that are updated at a time: a few float32 arrays of this size stay within a processor's cache. */
const PIECE = 2 ** 18;

const MOMENTS = ['firstMoment', 'secondMoment'] as const;
type Moment = (typeof MOMENTS)[number];

/** A moment on the device: uint8 `[B, 256]` and float32 `[B, 1]`. */
interface Packed {
  codes: Tensor;
  scales: Tensor;
}

/** Rows of the parameter, as a matrix, that are updated together, and the blocks that their numbers fill. */
interface Piece {
  row: number;
  rows: number;
  block: number;
  blocks: number;
}

export class EightBitState implements ParameterState {
  readonly #parameter: TrainableParameter;
  readonly #tables: MomentTables;
  /** The weight where the kernels' own is narrower than float32; null where that is the weight itself. */
  #master: Tensor | null;
  readonly #moments: Record<Moment, Packed>;
  readonly #width: number;
  readonly #pieces: readonly Piece[];

  /** @param tables Those of `momentTables`, which outlive the state. */
  constructor(parameter: TrainableParameter, tables: MomentTables) {
    this.#parameter = parameter;
    this.#tables = tables;
    const current = parameter.current();
    const narrow = current.dtype !== 'float32';
    this.#master = narrow ? scope(() => keep(castTensor(current, 'float32'))) : null;
    if (!narrow) parameter.replace(ownCopy(current));
    const { shape } = parameter.current();
    this.#width = rowWidth(shape);
    this.#pieces = piecesOf(elementCount(shape) / this.#width, this.#width);
    const blocks = this.#pieces.reduce((sum, piece) => sum + piece.blocks, 0);
    this.#moments = { firstMoment: packedZeros(blocks, true), secondMoment: packedZeros(blocks, false) };
  }

  update(gradients: GradientStore, constants: UpdateConstants): void {
    const parameter = this.#parameter;
    const gradient = gradients.readAsItCame(parameter.id);
    if (gradient === undefined) return;
    const decay = parameter.decays ? constants.decay : 0;
    scope(() => {
      const { firstMoment, secondMoment } = this.#moments;
      const weight = this.#master ?? parameter.current();
      const { rate, epsilon, beta1, beta2, factor } = constants;
      const inputs = {
        ...{ weight, gradient, rate, epsilon, beta1, beta2, factor, ...this.#tables },
        ...{ firstCodes: firstMoment.codes, firstScales: firstMoment.scales },
        ...{ secondCodes: secondMoment.codes, secondScales: secondMoment.scales },
        kept: tensor('float32', [], [1 - decay]),
        shape: tensor('int32', [2], [-1, this.#width]),
      };
      const run = updateFunction(gradient.dtype);
      for (const piece of this.#pieces) {
        scope(() => {
          const places = Object.entries(piece).map(([name, value]) => [name, tensor('int32', [1], [value])]);
          disposeAll(callNamed(run, { ...inputs, ...Object.fromEntries(places) }));
        });
      }
    });
    gradient.dispose();
    gradients.release(parameter.id);
    this.#showWeight();
  }

  tensors(): StateTensor[] {
    const weight = () => this.#master ?? this.#parameter.current();
    const packed = MOMENTS.flatMap((moment): StateTensor[] => {
      const { codes, scales } = this.#moments[moment];
      return [
        { name: `${moment}.codes`, dtype: 'uint8', shape: codes.shape, read: () => shareTensor(codes) },
        { name: `${moment}.scales`, dtype: 'float32', shape: scales.shape, read: () => shareTensor(scales) },
      ];
    });
    const { shape } = weight();
    return [{ name: 'master', dtype: 'float32', shape, read: () => shareTensor(weight()) }, ...packed];
  }

  restore(value: (tensor: StateTensor) => Tensor): void {
    const [master, ...packed] = this.tensors().map((each) => keep(value(each)));
    MOMENTS.forEach((moment, i) => {
      disposeAll(this.#moments[moment]);
      this.#moments[moment] = { codes: packed[2 * i]!, scales: packed[2 * i + 1]! };
    });
    if (this.#master === null) this.#parameter.replace(master!);
    else {
      this.#master.dispose();
      this.#master = master!;
    }
    this.#showWeight();
  }

  dispose(): void {
    disposeAll([this.#moments, this.#master ?? []]);
  }

  /** Gives the kernels the weight as it is now, where they have a narrower copy. */
  #showWeight(): void {
    if (this.#master === null) return;
    this.#parameter.replace(castTensor(this.#master, this.#parameter.current().dtype));
  }
}

/** A matrix's columns; of a vector as many numbers as divide it, so that it, too, has rows to move. */
function rowWidth(shape: readonly number[]): number {
  return shape.length > 1 ? shape.at(-1)! : commonDivisor(shape[0]!, QUANTIZATION_BLOCK);
}

/** Pieces of whole blocks, but for the last one. */
export function piecesOf(rows: number, width: number): Piece[] {
  const step = QUANTIZATION_BLOCK / commonDivisor(width, QUANTIZATION_BLOCK);
  const most = Math.max(step, step * Math.floor(PIECE / width / step));
  const pieces: Piece[] = [];
  let block = 0;
  for (let row = 0; row < rows; row += most) {
    const count = Math.min(most, rows - row);
    const blocks = Math.ceil((count * width) / QUANTIZATION_BLOCK);
    pieces.push({ row, rows: count, block, blocks });
    block += blocks;
  }
  return pieces;
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}

function packedZeros(blocks: number, signed: boolean): Packed {
  const zero = codeValues(signed).indexOf(0);
  return scope(() => {
    const shape = [blocks, QUANTIZATION_BLOCK];
    return { codes: keep(filled('uint8', shape, zero)), scales: keep(zeros('float32', [blocks, 1])) };
  });
}

/** A copy with memory of its own: what is changed in place must be nobody else's. */
function ownCopy(x: Tensor): Tensor {
  return execute('DeepCopy', [x], { T: attr.type(x.dtype) })[0]!;
}
