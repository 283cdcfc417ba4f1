/** In what order the pairs of an epoch are visited, and which pairs are held out for evaluation. */
import { createHash } from 'node:crypto';
import { ConfigError } from '../errors.js';
import { type PairRow, pairId } from './pairs.js';
import { createRandom } from './random.js';

export interface EpochOrderOptions {
  /** `sequential`: file order; `random`: shuffled (TRL's names). Default `random`. */
  strategy?: 'sequential' | 'random';
  /** Default 0. */
  seed?: number;
  /** Counted from 0; each epoch has its own order. Default 0. */
  epoch?: number;
}

/**
 * The indices `0 .. count - 1` in the order of one epoch. It depends on `count`, `seed` and `epoch` alone, so
 * a resumed run needs to remember nothing but the epoch and how far into it it was.
 */
export function epochOrder(
  count: number,
  { strategy = 'random', seed = 0, epoch = 0 }: EpochOrderOptions = {},
) {
  const indices = Array.from({ length: count }, (_, index) => index);
  return strategy === 'sequential' ? indices : createRandom(seed, epoch).shuffle(indices);
}

export interface SplitOptions {
  /** Share of users (or pairs) held out, from 0 to 1. */
  evalShare: number;
  /**
   * `user`: all pairs of a user go to one side, so that evaluation is on people never seen; a pair without a
   * user counts as a user of its own. `pair`: each pair goes where it falls. Default `user`.
   */
  by?: 'user' | 'pair';
  /** Default 0. */
  seed?: number;
}

export interface Split<P> {
  train: P[];
  eval: P[];
}

/**
 * Splits pairs into training and evaluation, each in their old order.
 *
 * Users (or pairs) are ranked by a hash of the seed and their name and the first `round(evalShare * n)` are
 * held out, at least one and at most `n - 1` when `evalShare` lies between 0 and 1. So the split does not
 * depend on the order of the file, and more rows move only those at the edge of the ranking.
 *
 * @throws ConfigError when the share is out of range, or there is only one user (or pair) to split
 */
export function splitPairs<P extends PairRow>(
  pairs: readonly P[],
  { by = 'user', ...options }: SplitOptions,
): Split<P> {
  const keyOf = (pair: P) =>
    by === 'user' && pair.user !== undefined ? `user ${pair.user}` : `pair ${pairId(pair)}`;
  return splitKeys(pairs, { ...options, by, keyOf });
}

export interface KeySplitOptions<Row> extends Pick<SplitOptions, 'evalShare' | 'seed'> {
  /** Rows with the same key go to one side. */
  keyOf: (row: Row) => string;
  /** What keys stand for, in an error. Default `user`. */
  by?: string;
}

/** {@link splitPairs} of rows of any kind. */
export function splitKeys<Row>(
  rows: readonly Row[],
  { evalShare, seed = 0, keyOf, by = 'user' }: KeySplitOptions<Row>,
): Split<Row> {
  if (!(evalShare >= 0 && evalShare <= 1)) {
    throw new ConfigError(`The share held out for evaluation must lie between 0 and 1, got ${evalShare}.`);
  }
  const keys = rows.map(keyOf);
  const ranked = [...new Set(keys)]
    .map((key) => ({ key, rank: createHash('sha256').update(`${seed} ${key}`).digest('hex') }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1));
  const partial = evalShare > 0 && evalShare < 1;
  if (partial && ranked.length === 1) {
    throw new ConfigError(
      `Nothing can be held out by ${by}: there is only one. Split by pair, or give an evaluation file.`,
    );
  }
  const wanted = Math.round(evalShare * ranked.length);
  const count = partial ? Math.min(Math.max(wanted, 1), ranked.length - 1) : wanted;
  const held = new Set(ranked.slice(0, Math.max(count, 0)).map(({ key }) => key));
  return {
    train: rows.filter((_, index) => !held.has(keys[index] as string)),
    eval: rows.filter((_, index) => held.has(keys[index] as string)),
  };
}
