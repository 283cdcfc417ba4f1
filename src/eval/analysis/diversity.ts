/** How far apart the contexts of a data set are (section 2.2). */

import { DataError, ShapeError } from '../../errors.js';
import { type BootstrapOptions, bootstrapInterval } from '../statistics/bootstrap.js';
import type { Interval } from '../statistics/interval.js';

export interface Diversity extends Interval {
  /** Contexts that were compared. */
  contexts: number;
}

/**
 * The mean cosine distance of all pairs, `1 - 2 / (n (n - 1)) sum_{i < j} v_i . v_j`, with a percentile interval by
 * drawing contexts anew. A context that is drawn twice is not compared with itself.
 *
 * @param vectors Of length 1, all of one size; at least two
 * @throws DataError for fewer than two, ShapeError for vectors of different sizes
 */
export function diversity(vectors: readonly Float32Array[], options: BootstrapOptions = {}): Diversity {
  if (vectors.length < 2) {
    throw new DataError(`Diversity is of two contexts at least, got ${vectors.length}.`);
  }
  const size = vectors[0]!.length;
  const other = vectors.find(({ length }) => length !== size);
  if (other !== undefined)
    throw new ShapeError(`Expected vectors of ${size} numbers, got one of ${other.length}.`);
  const indices = vectors.map((_, index) => index);
  const interval = bootstrapInterval(indices, (drawn) => meanDistance(vectors, drawn), options);
  return { ...interval, contexts: vectors.length };
}

/**
 * With `w_i` times that vector `i` was drawn and `s = sum w_i v_i`, the mean similarity of pairs of different vectors is
 * `(|s|^2 - sum w_i^2) / (n^2 - sum w_i^2)`.
 */
function meanDistance(vectors: readonly Float32Array[], drawn: readonly number[]): number {
  const times = new Map<number, number>();
  for (const index of drawn) times.set(index, (times.get(index) ?? 0) + 1);
  const total = new Float64Array(vectors[0]!.length);
  let squares = 0;
  for (const [index, weight] of times) {
    const vector = vectors[index] as Float32Array;
    for (let i = 0; i < total.length; i++) total[i] = (total[i] as number) + weight * (vector[i] as number);
    squares += weight * weight;
  }
  const lengths = total.reduce((sum, value) => sum + value * value, 0);
  return 1 - (lengths - squares) / (drawn.length ** 2 - squares);
}
