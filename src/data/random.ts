/**
 * The one generator of random numbers for data: xoshiro128** (Blackman and Vigna 2018), seeded through
 * splitmix32. Small, fast, the same on every machine, and its state is four integers that a checkpoint can hold.
 */
import { ConfigError } from '../errors.js';

/** The whole state: four unsigned 32-bit integers, not all zero. */
export type RandomState = readonly [number, number, number, number];

/** Numbers that repeat themselves for the same seed. */
export interface Random {
  /** Uniform integer in `[0, 2^32)`. */
  uint32(): number;
  /** Uniform number in `[0, 1)` with 53 random bits. */
  float(): number;
  /** Uniform integer in `[0, n)`, without modulo bias; `n` from 1 to 2^32. */
  int(n: number): number;
  /** Standard normal number (Box-Muller; two uniforms a call, so that the state stays four integers). */
  normal(): number;
  /** A shuffled copy (Fisher-Yates). */
  shuffle<T>(items: readonly T[]): T[];
  /** What `restoreRandom` needs to go on from here. */
  state(): RandomState;
}

const TWO_32 = 2 ** 32;

/**
 * A generator for `seed`. Generators with the same seed and different `stream` are independent: one for
 * each epoch, worker or purpose.
 *
 * @param seed integer from 0 to 2^53 - 1
 * @param stream integer from 0 to 2^32 - 1, default 0
 * @throws ConfigError when either is out of range
 */
export function createRandom(seed: number, stream = 0): Random {
  checkInteger('seed', seed, Number.MAX_SAFE_INTEGER);
  checkInteger('random stream', stream, TWO_32 - 1);
  const next = splitmix32(absorb([seed >>> 0, Math.floor(seed / TWO_32), stream]));
  return restoreRandom([next(), next(), next(), next()]);
}

/** The generator that `state()` was taken from, going on from there. */
export function restoreRandom(state: RandomState): Random {
  if (state.length !== 4 || state.some((word) => !Number.isInteger(word) || word < 0 || word >= TWO_32)) {
    throw new ConfigError(`A random state is four unsigned 32-bit integers, got ${JSON.stringify(state)}.`);
  }
  // All zeros is the one state the generator never leaves.
  if (state.every((word) => word === 0)) throw new ConfigError('A random state must not be all zeros.');
  let [a, b, c, d] = state as [number, number, number, number];

  function uint32(): number {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotateLeft(d, 11);
    return result;
  }

  function float(): number {
    return ((uint32() >>> 5) * 2 ** 26 + (uint32() >>> 6)) / 2 ** 53;
  }

  function int(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > TWO_32) {
      throw new ConfigError(`Random integers are drawn below a bound from 1 to 2^32, got ${n}.`);
    }
    const limit = TWO_32 - (TWO_32 % n);
    for (;;) {
      const value = uint32();
      if (value < limit) return value % n;
    }
  }

  return {
    uint32,
    float,
    int,
    normal: () => Math.sqrt(-2 * Math.log(1 - float())) * Math.cos(2 * Math.PI * float()),
    shuffle<T>(items: readonly T[]): T[] {
      const shuffled = [...items];
      for (let i = shuffled.length - 1; i > 0; i--) {
        const j = int(i + 1);
        [shuffled[i], shuffled[j]] = [shuffled[j] as T, shuffled[i] as T];
      }
      return shuffled;
    },
    state: () => [a >>> 0, b >>> 0, c >>> 0, d >>> 0],
  };
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** Folds words into one, so that every bit of each of them matters (murmur3's finalizer between words). */
function absorb(words: number[]): number {
  return words.reduce((hash, word) => mix(hash ^ word) + 0x9e3779b9, 0) >>> 0;
}

function splitmix32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    return mix(state);
  };
}

function mix(word: number): number {
  let z = word | 0;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
}

function checkInteger(name: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new ConfigError(`The ${name} must be an integer from 0 to ${max}, got ${value}.`);
  }
}
