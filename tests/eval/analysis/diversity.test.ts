/** How far apart vectors are, samples of streams, and the map. */

import { describe, expect, it } from 'vitest';
import { createRandom } from '../../../src/data/random.js';
import { DataError, ShapeError } from '../../../src/errors.js';
import { diversity } from '../../../src/eval/analysis/diversity.js';
import { normalized } from '../../../src/eval/analysis/embedder.js';
import { embeddingMap } from '../../../src/eval/analysis/embedding-map.js';
import { drawItems } from '../../../src/eval/analysis/reservoir.js';

function unit(values: number[]): Float32Array {
  return normalized(Float32Array.from(values))!;
}

/** Around a direction, the nearer the smaller the spread. */
function cluster(direction: number, count: number, spread: number, seed: number): Float32Array[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () =>
    unit(Array.from({ length: 8 }, (_, i) => (i === direction ? 1 : 0) + spread * random.normal())),
  );
}

describe('diversity', () => {
  it('is the mean of 1 - cosine over all pairs', () => {
    const vectors = [unit([1, 0]), unit([0, 1]), unit([1, 1])];
    const cosine = Math.SQRT1_2;
    const expected = (1 + (1 - cosine) + (1 - cosine)) / 3;
    expect(diversity(vectors)).toMatchObject({ contexts: 3, estimate: expect.closeTo(expected, 6) });
    const many = cluster(0, 40, 0.5, 1);
    let sum = 0;
    let pairs = 0;
    for (const [i, a] of many.entries()) {
      for (const b of many.slice(i + 1)) {
        sum += 1 - a.reduce((dot, value, k) => dot + value * b[k]!, 0);
        pairs++;
      }
    }
    expect(diversity(many).estimate).toBeCloseTo(sum / pairs, 6);
  });

  it('has an interval that holds it, is narrower of more contexts, and repeats itself', () => {
    const [few, many] = [diversity(cluster(0, 20, 0.7, 1)), diversity(cluster(0, 300, 0.7, 1))];
    for (const { estimate, low, high } of [few, many]) {
      expect(low).toBeLessThan(estimate);
      expect(high).toBeGreaterThan(estimate);
    }
    expect(many.high - many.low).toBeLessThan((few.high - few.low) / 2);
    expect(diversity(cluster(0, 20, 0.7, 1))).toEqual(few);
  });

  it('of equal vectors is 0, whatever is drawn', () => {
    const { estimate, low, high } = diversity(Array.from({ length: 5 }, () => unit([0.6, 0.8])));
    for (const value of [estimate, low, high]) expect(value).toBeCloseTo(0, 6);
  });

  it('is not of one vector, nor of vectors of different sizes', () => {
    expect(() => diversity([unit([1])])).toThrow(DataError);
    expect(() => diversity([unit([1]), unit([1, 0])])).toThrow(ShapeError);
    expect(normalized(new Float32Array(3))).toBeNull();
    expect(normalized(Float32Array.of(Number.NaN))).toBeNull();
  });
});

describe('a sample', () => {
  it('is all where there are no more, in their order', async () => {
    expect(await drawItems(['a', 'b'], 2, 0)).toEqual({ drawn: ['a', 'b'], seen: 2 });
  });

  it('takes each item as often as any other', async () => {
    const counts = new Array<number>(10).fill(0);
    for (let seed = 0; seed < 2000; seed++) {
      const { drawn, seen } = await drawItems(counts.keys(), 3, seed);
      expect([drawn.length, seen]).toEqual([3, 10]);
      expect([...drawn].sort((a, b) => a - b)).toEqual(drawn);
      for (const item of drawn) counts[item]!++;
    }
    // 600 each; five standard deviations are 102.
    for (const count of counts) expect(Math.abs(count - 600)).toBeLessThan(102);
  });
});

describe('the map', () => {
  it('lays what is alike together, the same way each time', async () => {
    const vectors = [...cluster(0, 25, 0.05, 1), ...cluster(3, 25, 0.05, 2)];
    const map = await embeddingMap(vectors, { neighbors: 8, seed: 5 });
    const centre = (points: [number, number][]) =>
      [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis]!, 0) / points.length);
    const [first, second] = [map.slice(0, 25), map.slice(25)];
    const [a, b] = [centre(first), centre(second)];
    const distance = (p: readonly number[], q: readonly number[]) => Math.hypot(p[0]! - q[0]!, p[1]! - q[1]!);
    for (const point of first) expect(distance(point, a)).toBeLessThan(distance(point, b));
    for (const point of second) expect(distance(point, b)).toBeLessThan(distance(point, a));
    expect(await embeddingMap(vectors, { neighbors: 8, seed: 5 })).toEqual(map);
  });

  it('is of four vectors at least, and can be stopped', async () => {
    expect(await embeddingMap(cluster(0, 3, 0.1, 1))).toEqual([]);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(embeddingMap(cluster(0, 20, 0.1, 1), { signal })).rejects.toThrow('enough');
  });
});
