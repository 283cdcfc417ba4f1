/** The numbers of weights in the forms that an exported model stores them in. */

import { CheckpointError } from '../../errors.js';

/** Side of the square that is moved at a time: both of its sides stay in the processor's cache. */
const TILE = 64;

/** `[rows, columns]` to `[columns, rows]`. */
export function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let r0 = 0; r0 < rows; r0 += TILE) {
    const r1 = Math.min(rows, r0 + TILE);
    for (let c0 = 0; c0 < columns; c0 += TILE) {
      const c1 = Math.min(columns, c0 + TILE);
      for (let r = r0; r < r1; r++) {
        for (let c = c0; c < c1; c++) result[c * rows + r] = values[r * columns + c]!;
      }
    }
  }
  return result;
}

const MAX_FLOAT16 = 65_504;
/** From here on a number is rounded to more than {@link MAX_FLOAT16}. */
const FLOAT16_OVERFLOW = 65_520;

/**
 * float16 bit patterns of float32 numbers, rounded to the nearest, ties to even.
 *
 * @throws CheckpointError for a number beyond float16's range, which would become infinite
 */
export function toFloat16(values: Float32Array, name: string): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) {
    const magnitude = Math.abs(values[i]!);
    if (!(magnitude < FLOAT16_OVERFLOW)) {
      throw new CheckpointError(
        `${name} holds ${values[i]}; float16 has numbers up to ${MAX_FLOAT16}. Export it as float32 or int8.`,
        { details: { name } },
      );
    }
    halves[i] = halfOf(bits[i]!);
  }
  return halves;
}

/** Bit pattern of a float32 below the overflow to that of the nearest float16. */
function halfOf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 0xff) - 127;
  const fraction = bits & 0x7fffff;
  if (exponent < -25) return sign;
  // A subnormal number has no hidden one: it is shifted in, further the smaller the number is.
  const subnormal = exponent < -14;
  const shift = subnormal ? -exponent - 1 : 13;
  const whole = subnormal ? fraction | 0x800000 : fraction | ((exponent + 15) << 23);
  const kept = whole >>> shift;
  const rest = whole & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  const up = rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0;
  return sign | (kept + up);
}

/** Weights that share a scale. */
export const BLOCK = 64;
/** What stands for zero among the eight bits. */
export const ZERO = 128;
const MOST = 127;

export interface QuantizedBlocks {
  /** `[rows, blocks, BLOCK]`: `value = (code - 128) * scale`. */
  codes: Uint8Array;
  /** `[rows, blocks]` */
  scales: Float32Array;
}

/** `[rows, columns]` in blocks along the columns, each with the scale that its largest number needs. */
export function quantizedBlocks(values: Float32Array, rows: number, columns: number): QuantizedBlocks {
  const blocks = Math.ceil(columns / BLOCK);
  const codes = new Uint8Array(rows * blocks * BLOCK).fill(ZERO);
  const scales = new Float32Array(rows * blocks);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const from = row * columns + block * BLOCK;
      const count = Math.min(BLOCK, columns - block * BLOCK);
      const scale = largest(values, from, count) / MOST;
      scales[row * blocks + block] = scale;
      if (scale === 0) continue;
      const to = (row * blocks + block) * BLOCK;
      for (let i = 0; i < count; i++) codes[to + i] = ZERO + Math.round(values[from + i]! / scale);
    }
  }
  return { codes, scales };
}

function largest(values: Float32Array, from: number, count: number): number {
  let most = 0;
  for (let i = from; i < from + count; i++) most = Math.max(most, Math.abs(values[i]!));
  return most;
}
