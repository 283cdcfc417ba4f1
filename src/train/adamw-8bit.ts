/**
 * A parameter's state with moments of 8 bits (Dettmers et al. 2022): the weight in float32, each moment a code of one
 * byte a number and a scale for 256 of them. An update unpacks a piece of them, computes in float32, moves the weights
 * by the moments as they are then, and packs these again; all in place, a piece at a time, so that what an update
 * takes beside the state does not grow with the parameter.
 */

import {
  type CodeTables,
  codesByBits,
  codeValues,
  dequantizeBlocks,
  QUANTIZATION_BLOCK,
  quantizeBlocks,
} from '../kernels/block-quantization.js';
import { add, cast, concat, div, mul, reshape, sizeOf, sqrt, square, sub } from '../kernels/graph-math.js';
import { attr } from '../runtime/attributes.js';
import { type DType, elementCount } from '../runtime/dtypes.js';
import { execute } from '../runtime/execute.js';
import type { GraphBuilder, GraphValue } from '../runtime/graph-function.js';
import { callNamed, defineNamed, type NamedFunction } from '../runtime/named-function.js';
import { disposeAll, keep, scope, shareTensor, type Tensor, tensor } from '../runtime/tensor.js';
import { castTensor, filled, zeros } from '../runtime/tensor-ops.js';
import type { ParameterState, StateTensor, UpdateConstants } from './adamw-state.js';
import type { GradientStore } from './gradient-store.js';
import type { TrainableParameter } from './trainable-parameters.js';

/** Smaller parameters keep float32 moments, as in bitsandbytes. */
export const LEAST_QUANTIZED = 4096;

/** Numbers that are updated at a time: a dozen float32 arrays of this size stay within a processor's cache. */
const PIECE = 2 ** 18;

const MOMENTS = ['firstMoment', 'secondMoment'] as const;
type Moment = (typeof MOMENTS)[number];
type Values = Readonly<Record<string, GraphValue>>;

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

  /** @param tables Those of {@link momentTables}, which outlive the state. */
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

const TABLES = ['signedValues', 'signedCodes', 'values', 'codes'] as const;
export type MomentTables = Record<(typeof TABLES)[number], Tensor>;

/** The codes' tables: the first moment's have signs, the second's none. The caller disposes them. */
export function momentTables(): MomentTables {
  const vector = (values: Float32Array) => keep(tensor('float32', [values.length], values));
  const [signed, unsigned] = [codeValues(true), codeValues(false)];
  return {
    ...{ signedValues: vector(signed), signedCodes: vector(codesByBits(signed)) },
    ...{ values: vector(unsigned), codes: vector(codesByBits(unsigned)) },
  };
}

const built = new Map<DType, NamedFunction>();

/** One piece of a parameter, from a gradient in `dtype`. What it gives back is what it was given, changed in place. */
function updateFunction(dtype: DType): NamedFunction {
  const known = built.get(dtype);
  if (known !== undefined) return known;
  const float = (names: readonly string[]) =>
    Object.fromEntries(names.map((name) => [name, 'float32' as const]));
  const inputs: Record<string, DType> = {
    ...{
      ...float(['weight', 'kept', 'rate', 'epsilon', 'beta1', 'beta2', 'factor', ...TABLES]),
      gradient: dtype,
    },
    ...{ firstCodes: 'uint8', firstScales: 'float32', secondCodes: 'uint8', secondScales: 'float32' },
    ...{ shape: 'int32', row: 'int32', rows: 'int32', block: 'int32', blocks: 'int32' },
  };
  const made = defineNamed('adamw_8bit', inputs, updatePiece);
  built.set(dtype, made);
  return made;
}

function updatePiece(g: GraphBuilder, v: Values): Values {
  const matrix = (name: string) => reshape(g, v[name]!, v.shape!);
  const weight = matrix('weight');
  const before = sliceRows(g, weight, v.row!, v.rows!);
  const came = cast(g, sliceRows(g, matrix('gradient'), v.row!, v.rows!), 'float32');
  const gradient = mul(g, inBlocks(g, came, v.blocks!), v.factor!);

  const unpacked = (moment: 'first' | 'second', tables: CodeTables) => {
    const piece = (name: string) => sliceRows(g, v[name]!, v.block!, v.blocks!);
    return dequantizeBlocks(g, { codes: piece(`${moment}Codes`), scales: piece(`${moment}Scales`) }, tables);
  };
  const signed = { values: v.signedValues!, codes: v.signedCodes! };
  const unsigned = { values: v.values!, codes: v.codes! };
  const first = towards(g, unpacked('first', signed), gradient, v.beta1!);
  const second = towards(g, unpacked('second', unsigned), square(g, gradient), v.beta2!);
  const move = mul(g, div(g, first, add(g, sqrt(g, second), v.epsilon!)), v.rate!);
  const after = sub(g, mul(g, before, v.kept!), likeRows(g, move, before));

  const [firstAfter, secondAfter] = [quantizeBlocks(g, first, signed), quantizeBlocks(g, second, unsigned)];
  const written = (name: string, piece: GraphValue) => writeRows(g, v[name]!, v.block!, v.blocks!, piece);
  return {
    weight: writeRows(g, weight, v.row!, v.rows!, after),
    firstCodes: written('firstCodes', firstAfter.codes),
    firstScales: written('firstScales', firstAfter.scales),
    secondCodes: written('secondCodes', secondAfter.codes),
    secondScales: written('secondScales', secondAfter.scales),
  };
}

/** `beta x + (1 - beta) y` */
function towards(g: GraphBuilder, x: GraphValue, y: GraphValue, beta: GraphValue): GraphValue {
  return add(g, mul(g, x, beta), mul(g, y, sub(g, g.constant('float32', 1), beta)));
}

/** Rows of numbers as blocks `[B, 256]`, the last one filled up with zeros. */
function inBlocks(g: GraphBuilder, rows: GraphValue, blocks: GraphValue): GraphValue {
  const flat = reshape(g, rows, [-1]);
  const missing = sub(g, mul(g, blocks, QUANTIZATION_BLOCK), sizeOf(g, flat, 0));
  const paddings = reshape(g, concat(g, [g.constant('int32', [0]), missing], 0), [1, 2]);
  const padded = g.op('Pad', [flat, paddings], { T: attr.type('float32'), Tpaddings: attr.type('int32') });
  return reshape(g, padded, [-1, QUANTIZATION_BLOCK]);
}

/** Blocks as the rows that they were made of, `like`. */
function likeRows(g: GraphBuilder, blocks: GraphValue, like: GraphValue): GraphValue {
  const count = reshape(g, like, [-1]);
  const flat = slice(g, reshape(g, blocks, [-1]), g.constant('int32', [0]), sizeOf(g, count, 0));
  const shape = g.op('Shape', [like], { T: attr.type('float32'), out_type: attr.type('int32') });
  return reshape(g, flat, shape);
}

function sliceRows(g: GraphBuilder, x: GraphValue, begin: GraphValue, rows: GraphValue): GraphValue {
  const all = g.constant('int32', [-1]);
  return slice(g, x, concat(g, [begin, g.constant('int32', [0])], 0), concat(g, [rows, all], 0));
}

function slice(g: GraphBuilder, x: GraphValue, begin: GraphValue, sizes: GraphValue): GraphValue {
  return g.op('Slice', [x, begin, sizes], { T: attr.type(x.dtype), Index: attr.type('int32') });
}

/** `x` with `rows` rows from `begin` on replaced, in place (see kernels/decode-cache on InplaceUpdate). */
function writeRows(
  g: GraphBuilder,
  x: GraphValue,
  begin: GraphValue,
  rows: GraphValue,
  values: GraphValue,
): GraphValue {
  const [first, count] = [reshape(g, begin, []), reshape(g, rows, [])];
  const range = g.op('Range', [first, add(g, first, count), g.constant('int32', 1)], {
    Tidx: attr.type('int32'),
  });
  return g.op('InplaceUpdate', [x, range, values], { T: attr.type(x.dtype) });
}
