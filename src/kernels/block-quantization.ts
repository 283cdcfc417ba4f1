/**
 * Block-wise dynamic quantization (Dettmers et al. 2022, "8-bit Optimizers via Block-wise Quantization"): each block of
 * 256 numbers is divided by its largest magnitude, and each number becomes the code of the nearest of 256 values
 * between -1 and 1 (or 0 and 1), which lie the closer the smaller they are: seven decades, and the finer divided the
 * larger.
 */

import { attr } from '../runtime/attributes.js';
import type { GraphBuilder, GraphValue } from '../runtime/graph-function.js';
import { cast, div, gather, max, maximum, mul, reshape } from './graph-math.js';

/** Numbers of one block, as in bitsandbytes. */
export const QUANTIZATION_BLOCK = 256;

const DECADES = 7;
/** Sign, exponent and eight bits of the mantissa: the part of a float32 by which its code is looked up. */
const LOOKED_UP_BITS = 17;
const OTHER_BITS = 32 - LOOKED_UP_BITS;
/** A block of zeros is divided by it. */
const SMALLEST_SCALE = 1e-38;

/** The two tables of a kind of numbers, float32. */
export interface CodeTables {
  /** `[256]`: the value of each code, ascending. */
  values: GraphValue;
  /** `[2^17]`: the code of each float32 by its first 17 bits. */
  codes: GraphValue;
}

export interface QuantizedBlocks {
  /** uint8 `[B, 256]`. */
  codes: GraphValue;
  /** float32 `[B, 1]`: the largest magnitude of each block. */
  scales: GraphValue;
}

/** `[B, 256]` float32 to codes and scales. */
export function quantizeBlocks(g: GraphBuilder, x: GraphValue, tables: CodeTables): QuantizedBlocks {
  const scales = max(g, g.op('Abs', [x], { T: attr.type('float32') }), [1]);
  const unit = div(g, x, maximum(g, scales, SMALLEST_SCALE));
  const int = { T: attr.type('int32') };
  const bits = g.op('Bitcast', [unit], { T: attr.type('float32'), type: attr.type('int32') });
  const shifted = g.op('RightShift', [bits, g.constant('int32', OTHER_BITS)], int);
  const place = g.op('BitwiseAnd', [shifted, g.constant('int32', 2 ** LOOKED_UP_BITS - 1)], int);
  // Through float32: a GPU gathers no bytes.
  return { codes: cast(g, gather(g, tables.codes, place), 'uint8'), scales };
}

/** Codes and scales to `[B, 256]` float32. */
export function dequantizeBlocks(
  g: GraphBuilder,
  { codes, scales }: QuantizedBlocks,
  tables: CodeTables,
): GraphValue {
  const values = gather(g, tables.values, cast(g, codes, 'int32'));
  return mul(g, reshape(g, values, [-1, QUANTIZATION_BLOCK]), scales);
}

/**
 * The value of each code, ascending. Decade `i` of seven, from `10^(i-7)` to `10^(i-6)`, is divided evenly into `2^i`
 * parts (`2^(i+1)` where there is no sign), of which each middle is a value; beside them 0 and 1.
 */
export function codeValues(signed: boolean): Float32Array {
  const magnitudes: number[] = [];
  for (let decade = 0; decade < DECADES; decade++) {
    const parts = 2 ** (signed ? decade : decade + 1);
    const top = 10 ** (decade - DECADES + 1);
    for (let part = 0; part < parts; part++) magnitudes.push(top * (0.1 + (0.9 * (part + 0.5)) / parts));
  }
  const negatives = signed ? magnitudes.map((value) => -value) : [];
  return Float32Array.from([...negatives, 0, ...magnitudes, 1]).sort();
}

/**
 * The code of each float32 by its first 17 bits: of the value nearest to the middle of the numbers that begin with
 * them. Those that lie within 1/512 of themselves of the middle between two values may get either.
 *
 * Where there is no sign, only zero becomes zero, in which bitsandbytes' table differs: a second moment that is rounded
 * to zero makes the next step as large as one over epsilon (Li, Chen and Zhu 2023, "Memory Efficient Optimizers with
 * 4-bit States"), and one that is rounded up makes it small.
 */
export function codesByBits(values: Float32Array): Float32Array {
  const codes = new Float32Array(2 ** LOOKED_UP_BITS);
  const signed = values[0]! < 0;
  const bits = new Uint32Array(1);
  const number = new Float32Array(bits.buffer);
  for (let first = 0; first < codes.length; first++) {
    bits[0] = first * 2 ** OTHER_BITS + 2 ** (OTHER_BITS - 1);
    const code = nearest(values, number[0]!);
    codes[first] = signed || first === 0 ? code : Math.max(1, code);
  }
  return codes;
}

/** Index of the value nearest to `x`; what is no number counts as the largest. */
function nearest(values: Float32Array, x: number): number {
  let [low, high] = [0, values.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle]! <= x) low = middle;
    else high = middle;
  }
  return x - values[low]! < values[high]! - x ? low : high;
}
