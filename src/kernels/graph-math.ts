/** Arithmetic inside graphs: one short function for each TensorFlow operation that the kernels use. */

import { attr } from '../runtime/attributes.js';
import type { DType } from '../runtime/dtypes.js';
import type { GraphBuilder, GraphValue } from '../runtime/graph-function.js';

type Binary = (g: GraphBuilder, a: GraphValue, b: GraphValue | number) => GraphValue;
type Unary = (g: GraphBuilder, x: GraphValue) => GraphValue;

/** Dtypes that matmuls run in. Between two matmuls the kernels compute in float32. */
export type ComputeDType = 'bfloat16' | 'float32';

const binary =
  (op: string): Binary =>
  (g, a, b) =>
    g.op(op, [a, typeof b === 'number' ? g.constant(a.dtype as 'float32' | 'int32', b) : b], {
      T: attr.type(a.dtype),
    });

const unary =
  (op: string): Unary =>
  (g, x) =>
    g.op(op, [x], { T: attr.type(x.dtype) });

/** Element by element, broadcasting. A plain number is a constant of the other operand's dtype. */
export const add = binary('AddV2');
export const sub = binary('Sub');
export const mul = binary('Mul');
export const div = binary('RealDiv');
export const maximum = binary('Maximum');
export const minimum = binary('Minimum');

export const neg = unary('Neg');
export const exp = unary('Exp');
export const log = unary('Log');
export const sqrt = unary('Sqrt');
export const rsqrt = unary('Rsqrt');
export const square = unary('Square');
export const sigmoid = unary('Sigmoid');
export const softmax = unary('Softmax');

export function cast(g: GraphBuilder, x: GraphValue, dtype: DType): GraphValue {
  if (x.dtype === dtype) return x;
  return g.op('Cast', [x], { SrcT: attr.type(x.dtype), DstT: attr.type(dtype) });
}

export const toFloat32 = (g: GraphBuilder, x: GraphValue): GraphValue => cast(g, x, 'float32');

/** Sum over `axes`; the axes stay with size 1 when `keepDims`. */
export function sum(g: GraphBuilder, x: GraphValue, axes: readonly number[], keepDims = true): GraphValue {
  return reduce(g, 'Sum', x, axes, keepDims);
}

export function mean(g: GraphBuilder, x: GraphValue, axes: readonly number[], keepDims = true): GraphValue {
  return reduce(g, 'Mean', x, axes, keepDims);
}

export function max(g: GraphBuilder, x: GraphValue, axes: readonly number[], keepDims = true): GraphValue {
  return reduce(g, 'Max', x, axes, keepDims);
}

function reduce(
  g: GraphBuilder,
  op: string,
  x: GraphValue,
  axes: readonly number[],
  keepDims: boolean,
): GraphValue {
  return g.op(op, [x, g.constant('int32', axes)], {
    T: attr.type(x.dtype),
    Tidx: attr.type('int32'),
    keep_dims: attr.bool(keepDims),
  });
}

/** Reshape; one size may be -1. */
export function reshape(g: GraphBuilder, x: GraphValue, shape: readonly number[] | GraphValue): GraphValue {
  const target = Array.isArray(shape) ? g.constant('int32', shape) : (shape as GraphValue);
  return g.op('Reshape', [x, target], { T: attr.type(x.dtype), Tshape: attr.type('int32') });
}

export function transpose(g: GraphBuilder, x: GraphValue, order: readonly number[]): GraphValue {
  return g.op('Transpose', [x, g.constant('int32', order)], {
    T: attr.type(x.dtype),
    Tperm: attr.type('int32'),
  });
}

export function concat(g: GraphBuilder, values: readonly GraphValue[], axis: number): GraphValue {
  if (values.length === 1) return values[0] as GraphValue;
  const { dtype } = values[0] as GraphValue;
  return g.op('ConcatV2', [values, g.constant('int32', axis)], {
    N: attr.int(values.length),
    T: attr.type(dtype),
    Tidx: attr.type('int32'),
  });
}

/** Pieces of `x` along `axis`, of sizes given in the graph or as numbers. */
export function split(
  g: GraphBuilder,
  x: GraphValue,
  sizes: GraphValue | readonly number[],
  axis: number,
  pieces: number,
): GraphValue[] {
  if (pieces === 1) return [x];
  const lengths = Array.isArray(sizes) ? g.constant('int32', sizes) : (sizes as GraphValue);
  const attributes = { T: attr.type(x.dtype), Tlen: attr.type('int32'), num_split: attr.int(pieces) };
  return g.ops('SplitV', [x, lengths, g.constant('int32', axis)], attributes, pieces);
}

/** `a b`, each transposed first if asked; matrices. */
export function matmul(
  g: GraphBuilder,
  a: GraphValue,
  b: GraphValue,
  { transposeA = false, transposeB = false } = {},
): GraphValue {
  return g.op('MatMul', [a, b], {
    T: attr.type(a.dtype),
    transpose_a: attr.bool(transposeA),
    transpose_b: attr.bool(transposeB),
  });
}

/** `a b` over the last two axes; the axes before them broadcast. */
export function batchMatmul(
  g: GraphBuilder,
  a: GraphValue,
  b: GraphValue,
  { transposeA = false, transposeB = false } = {},
): GraphValue {
  return g.op('BatchMatMulV2', [a, b], {
    T: attr.type(a.dtype),
    adj_x: attr.bool(transposeA),
    adj_y: attr.bool(transposeB),
  });
}

/** Rows of `table` along axis 0. */
export function gather(g: GraphBuilder, table: GraphValue, indices: GraphValue): GraphValue {
  return g.op('GatherV2', [table, indices, g.constant('int32', 0)], {
    Tparams: attr.type(table.dtype),
    Tindices: attr.type('int32'),
    Taxis: attr.type('int32'),
  });
}

/** Size of axis `axis` of `x` as an int32 vector of one element. */
export function sizeOf(g: GraphBuilder, x: GraphValue, axis: number): GraphValue {
  const shape = g.op('Shape', [x], { T: attr.type(x.dtype), out_type: attr.type('int32') });
  return g.op('Slice', [shape, g.constant('int32', [axis]), g.constant('int32', [1])], {
    T: attr.type('int32'),
    Index: attr.type('int32'),
  });
}
