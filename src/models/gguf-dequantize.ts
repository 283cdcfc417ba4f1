/**
 * ggml's quantized blocks to float32. Block layouts are ggml's (ggml-common.h); every result equals the one of
 * llama.cpp's Python package `gguf` bit for bit: products of a half-precision scale and small integers are exact
 * in double precision, and the store to float32 rounds once.
 */
import { halfToFloatTable } from './half.js';

/** Reads `blocks` blocks from `source` at byte `from`, and writes their elements to `target` at `to`. */
export type Dequantizer = (
  source: Uint8Array,
  from: number,
  target: Float32Array,
  to: number,
  blocks: number,
) => void;

/** The dequantizer of a ggml type by name; undefined for types that aren't read (or aren't quantized). */
export function dequantizerOf(typeName: string): Dequantizer | undefined {
  return Object.hasOwn(DEQUANTIZERS, typeName) ? DEQUANTIZERS[typeName] : undefined;
}

/** The types that dequantizerOf knows, for messages. */
export const DEQUANTIZED_TYPES = 'Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K and Q6_K';

const DEQUANTIZERS: Readonly<Record<string, Dequantizer>> = {
  Q4_0: dequantizeQ40,
  Q4_1: dequantizeQ41,
  Q5_0: dequantizeQ50,
  Q5_1: dequantizeQ51,
  Q8_0: dequantizeQ80,
  Q2_K: dequantizeQ2K,
  Q3_K: dequantizeQ3K,
  Q4_K: dequantizeQ4K,
  Q5_K: dequantizeQ5K,
  Q6_K: dequantizeQ6K,
};

function halfAt(table: Float32Array, bytes: Uint8Array, at: number): number {
  return table[bytes[at]! | (bytes[at + 1]! << 8)]!;
}

/** 32 elements: scale d; low nibbles are elements 0-15, high ones 16-31. `d (q - 8)` */
function dequantizeQ40(
  source: Uint8Array,
  from: number,
  target: Float32Array,
  to: number,
  blocks: number,
): void {
  const half = halfToFloatTable();
  for (let block = 0, at = from, out = to; block < blocks; block++, at += 18, out += 32) {
    const d = halfAt(half, source, at);
    for (let i = 0; i < 16; i++) {
      const q = source[at + 2 + i]!;
      target[out + i] = d * ((q & 15) - 8);
      target[out + 16 + i] = d * ((q >> 4) - 8);
    }
  }
}

/** 32 elements: scale d, minimum m. `d q + m` */
function dequantizeQ41(
  source: Uint8Array,
  from: number,
  target: Float32Array,
  to: number,
  blocks: number,
): void {
  const half = halfToFloatTable();
  for (let block = 0, at = from, out = to; block < blocks; block++, at += 20, out += 32) {
    const d = halfAt(half, source, at);
    const m = halfAt(half, source, at + 2);
    for (let i = 0; i < 16; i++) {
      const q = source[at + 4 + i]!;
      target[out + i] = d * (q & 15) + m;
      target[out + 16 + i] = d * (q >> 4) + m;
    }
  }
}

/** 32 elements: scale d, 32 fifth bits, nibbles. `d (q - 16)` */
function dequantizeQ50(
  source: Uint8Array,
  from: number,
  target: Float32Array,
  to: number,
  blocks: number,
): void {
  const half = halfToFloatTable();
  for (let block = 0, at = from, out = to; block < blocks; block++, at += 22, out += 32) {
    const d = halfAt(half, source, at);
    const high = fourBytes(source, at + 2);
    for (let i = 0; i < 16; i++) {
      const q = source[at + 6 + i]!;
      target[out + i] = d * (((q & 15) | (((high >>> i) & 1) << 4)) - 16);
      target[out + 16 + i] = d * (((q >> 4) | (((high >>> (i + 16)) & 1) << 4)) - 16);
    }
  }
}

/** 32 elements: scale d, minimum m, 32 fifth bits, nibbles. `d q + m` */
function dequantizeQ51(
  source: Uint8Array,
  from: number,
  target: Float32Array,
  to: number,
  blocks: number,
): void {
  const half = halfToFloatTable();
  for (let block = 0, at = from, out = to; block < blocks; block++, at += 24, out += 32) {
    const d = halfAt(half, source, at);
    const m = halfAt(half, source, at + 2);
    const high = fourBytes(source, at + 4);
    for (let i = 0; i < 16; i++) {
      const q = source[at + 8 + i]!;
      target[out + i] = d * ((q & 15) | (((high >>> i) & 1) << 4)) + m;
      target[out + 16 + i] = d * ((q >> 4) | (((high >>> (i + 16)) & 1) << 4)) + m;
    }
  }
}

/** 32 elements: scale d, signed bytes. `d q` */
function dequantizeQ80(
  source: Uint8Array,
  from: number,
  target: Float32Array,
  to: number,
  blocks: number,
): void {
  const half = halfToFloatTable();
  for (let block = 0, at = from, out = to; block < blocks; block++, at += 34, out += 32) {
    const d = halfAt(half, source, at);
    for (let i = 0; i < 32; i++) target[out + i] = d * signedByte(source[at + 2 + i]!);
  }
}

/**
 * 256 elements: 16 bytes of 4-bit scales and minimums (one for 16 elements), 64 bytes of 2-bit values, d, dmin.
 * `d scale q - dmin minimum`
 */
function dequantizeQ2K(
  source: Uint8Array,
  from: number,
  target: Float32Array,
  to: number,
  blocks: number,
): void {
  const half = halfToFloatTable();
  for (let block = 0, at = from, out = to; block < blocks; block++, at += 84, out += 256) {
    const d = halfAt(half, source, at + 80);
    const dmin = halfAt(half, source, at + 82);
    for (let group = 0; group < 16; group++) {
      const scale = source[at + group]!;
      const dl = d * (scale & 15);
      const ml = dmin * (scale >> 4);
      const shift = twoBitShift(group);
      const values = at + 16 + twoBitByte(group);
      const first = out + 16 * group;
      for (let i = 0; i < 16; i++) target[first + i] = dl * ((source[values + i]! >> shift) & 3) - ml;
    }
  }
}

/**
 * 256 elements: 32 bytes of third bits, 64 bytes of 2-bit values, 16 6-bit scales in 12 bytes, d.
 * `d (scale - 32) (q - 4 [third bit is 0])`
 */
function dequantizeQ3K(
  source: Uint8Array,
  from: number,
  target: Float32Array,
  to: number,
  blocks: number,
): void {
  const half = halfToFloatTable();
  for (let block = 0, at = from, out = to; block < blocks; block++, at += 110, out += 256) {
    const d = halfAt(half, source, at + 108);
    const scales = at + 96;
    for (let group = 0; group < 16; group++) {
      const low = source[scales + (group & 7)]! >> (group < 8 ? 0 : 4);
      const high = source[scales + 8 + (group & 3)]! >> (2 * (group >> 2));
      const dl = d * (((low & 15) | ((high & 3) << 4)) - 32);
      const shift = twoBitShift(group);
      const values = at + 32 + twoBitByte(group);
      const thirdBits = at + 16 * (group & 1);
      const bit = group >> 1;
      const first = out + 16 * group;
      for (let i = 0; i < 16; i++) {
        const offset = (source[thirdBits + i]! >> bit) & 1 ? 0 : 4;
        target[first + i] = dl * (((source[values + i]! >> shift) & 3) - offset);
      }
    }
  }
}

/**
 * 256 elements: d, dmin, 8 6-bit scales and minimums in 12 bytes, nibbles.
 * `d scale q - dmin minimum`
 */
function dequantizeQ4K(
  source: Uint8Array,
  from: number,
  target: Float32Array,
  to: number,
  blocks: number,
): void {
  const half = halfToFloatTable();
  for (let block = 0, at = from, out = to; block < blocks; block++, at += 144, out += 256) {
    const d = halfAt(half, source, at);
    const dmin = halfAt(half, source, at + 2);
    for (let group = 0; group < 8; group++) {
      const dl = d * sixBitScale(source, at + 4, group);
      const ml = dmin * sixBitMinimum(source, at + 4, group);
      const values = at + 16 + 32 * (group >> 1);
      const shift = 4 * (group & 1);
      const first = out + 32 * group;
      for (let i = 0; i < 32; i++) target[first + i] = dl * ((source[values + i]! >> shift) & 15) - ml;
    }
  }
}

/** As Q4_K, with 32 bytes of fifth bits between scales and nibbles. `d scale q - dmin minimum` */
function dequantizeQ5K(
  source: Uint8Array,
  from: number,
  target: Float32Array,
  to: number,
  blocks: number,
): void {
  const half = halfToFloatTable();
  for (let block = 0, at = from, out = to; block < blocks; block++, at += 176, out += 256) {
    const d = halfAt(half, source, at);
    const dmin = halfAt(half, source, at + 2);
    const fifthBits = at + 16;
    for (let group = 0; group < 8; group++) {
      const dl = d * sixBitScale(source, at + 4, group);
      const ml = dmin * sixBitMinimum(source, at + 4, group);
      const values = at + 48 + 32 * (group >> 1);
      const shift = 4 * (group & 1);
      const first = out + 32 * group;
      for (let i = 0; i < 32; i++) {
        const q = ((source[values + i]! >> shift) & 15) | (((source[fifthBits + i]! >> group) & 1) << 4);
        target[first + i] = dl * q - ml;
      }
    }
  }
}

/** 256 elements: 128 bytes of nibbles, 64 bytes of 2 high bits, 16 signed scales, d. `d scale (q - 32)` */
function dequantizeQ6K(
  source: Uint8Array,
  from: number,
  target: Float32Array,
  to: number,
  blocks: number,
): void {
  const half = halfToFloatTable();
  for (let block = 0, at = from, out = to; block < blocks; block++, at += 210, out += 256) {
    const d = halfAt(half, source, at + 208);
    for (let group = 0; group < 16; group++) {
      const dl = d * signedByte(source[at + 192 + group]!);
      const low = at + 64 * (group >> 3) + 16 * (group & 3);
      const lowShift = group & 4;
      const high = at + 128 + twoBitByte(group);
      const highShift = twoBitShift(group);
      const first = out + 16 * group;
      for (let i = 0; i < 16; i++) {
        const q = ((source[low + i]! >> lowShift) & 15) | (((source[high + i]! >> highShift) & 3) << 4);
        target[first + i] = dl * (q - 32);
      }
    }
  }
}

function fourBytes(source: Uint8Array, at: number): number {
  return source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16) | (source[at + 3]! << 24);
}

function signedByte(byte: number): number {
  return (byte << 24) >> 24;
}

/** 2-bit values: 32 bytes hold 128 elements, 32 elements to a bit pair. Where the 16 of a group lie: */
function twoBitShift(group: number): number {
  return 2 * ((group >> 1) & 3);
}

function twoBitByte(group: number): number {
  return 32 * (group >> 3) + 16 * (group & 1);
}

/** 12 bytes hold 8 scales and 8 minimums of 6 bits: the last 4 of each have their upper 2 bits in the first 8 bytes. */
function sixBitScale(source: Uint8Array, at: number, group: number): number {
  if (group < 4) return source[at + group]! & 63;
  return (source[at + group + 4]! & 15) | ((source[at + group - 4]! >> 2) & 48);
}

function sixBitMinimum(source: Uint8Array, at: number, group: number): number {
  if (group < 4) return source[at + group + 4]! & 63;
  return (source[at + group + 4]! >> 4) | ((source[at + group]! >> 2) & 48);
}
