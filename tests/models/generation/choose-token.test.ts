/** The choice of a token: transformers' warpers, a plain re-implementation, and the frequencies of the draw. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../../src/data/random.js';
import {
  argMax,
  choiceScratch,
  drawToken,
  narrow,
  penalize,
  toWeights,
} from '../../../src/models/generation/choose-token.js';
import type { Sampling } from '../../../src/models/generation/options.js';
import warpers from '../../golden/generation/warpers.json' with { type: 'json' };

const NONE: Sampling = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };

/** What is left of the logits, as probabilities by token. */
function left(logits: Float32Array, options: Sampling): Map<number, number> {
  const scratch = choiceScratch(logits.length);
  const count = narrow(toWeights(logits.slice(), options.temperature), options, scratch);
  const weights = scratch.weights.subarray(0, count);
  const mass = weights.reduce((a, b) => a + b, 0);
  return new Map(Array.from(scratch.ids.subarray(0, count), (id, i) => [id, weights[i]! / mass]));
}

describe("what transformers' warpers leave", () => {
  it.each(warpers.map((each, index) => ({ ...each, index })))('case $index: $options', (golden) => {
    const logits = Float32Array.from(golden.logits);
    penalize(logits, new Set(golden.seen), golden.options.repetitionPenalty);
    const kept = left(logits, golden.options);
    expect([...kept.keys()]).toEqual(Object.keys(golden.kept).map(Number));
    for (const [id, p] of Object.entries(golden.kept)) expect(kept.get(Number(id))).toBeCloseTo(p, 6);
  });
});

describe('against sorting', () => {
  const logits = fc.array(fc.integer({ min: -40, max: 40 }), { minLength: 1, maxLength: 60 });

  it('top-k keeps the k largest and their ties', () => {
    fc.assert(
      fc.property(logits, fc.integer({ min: 1, max: 70 }), (values, topK) => {
        const row = Float32Array.from(values, (v) => v / 4);
        const least = [...row].sort((a, b) => b - a)[Math.min(topK, row.length) - 1]!;
        const expected = [...row.keys()].filter((id) => row[id]! >= least);
        expect([...left(row, { ...NONE, topK }).keys()]).toEqual(expected);
      }),
    );
  });

  // Logits that lie apart, and logits so close that many weights share a bucket.
  it.each([8, 800])(
    'top-p keeps the fewest likeliest that reach the mass, of equals the first (1/%i)',
    (step) => {
      fc.assert(
        fc.property(logits, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (values, topP) => {
          const row = Float32Array.from(values, (v) => v / step);
          const sorted = [...row.keys()].sort((a, b) => row[b]! - row[a]! || a - b);
          const p = sorted.map((id) => Math.exp(row[id]!));
          const mass = p.reduce((a, b) => a + b, 0);
          const kept = [...left(row, { ...NONE, topP }).keys()];
          const reach = p.slice(0, kept.length).reduce((a, b) => a + b, 0) / mass;
          expect(kept).toEqual(sorted.slice(0, kept.length).sort((a, b) => a - b));
          expect(reach).toBeGreaterThan(topP - 1e-9);
          expect(reach - p[kept.length - 1]! / mass).toBeLessThan(topP + 1e-9);
        }),
      );
    },
  );
});

describe('the draw', () => {
  it.each<[string, Partial<Sampling>]>([
    ['plain', {}],
    ['cold', { temperature: 0.5 }],
    ['top-k and top-p', { topK: 6, topP: 0.9 }],
  ])('follows the probabilities: %s', (_name, options) => {
    const sampling = { ...NONE, ...options };
    const logits = Float32Array.from({ length: 12 }, (_, i) => Math.sin(7 * i) * 1.5);
    const kept = left(logits, sampling);
    const draws = 20_000;
    const counts = new Map<number, number>();
    const scratch = choiceScratch(12);
    const weights = toWeights(logits.slice(), sampling.temperature);
    const own = createRandom(99);
    for (let i = 0; i < draws; i++) {
      const id = drawToken(weights, sampling, own, scratch);
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    let chiSquare = 0;
    for (const [id, p] of kept) chiSquare += ((counts.get(id) ?? 0) - draws * p) ** 2 / (draws * p);
    expect([...counts.keys()].every((id) => kept.has(id))).toBe(true);
    // With at most 11 degrees of freedom, above 31.3 in one of a thousand seeds.
    expect(chiSquare).toBeLessThan(31.3);
  });

  it('takes one random number a token, also where there is no choice', () => {
    const [used, fresh] = [createRandom(4), createRandom(4)];
    const weights = Float32Array.from([0.1, 1, 0.5]);
    expect(drawToken(weights, { ...NONE, topK: 1 }, used, choiceScratch(3))).toBe(1);
    fresh.float();
    expect(used.state()).toEqual(fresh.state());
  });

  it('is right at the ends of the range of logits', () => {
    const row = Float32Array.from([-1e30, 3e38, Number.NEGATIVE_INFINITY, -3e38]);
    expect(argMax(row)).toBe(1);
    expect([...left(row, NONE)]).toEqual([[1, 1]]);
    const even = new Float32Array(4).fill(-1e30);
    expect([...left(even, { ...NONE, topP: 0.5 }).keys()]).toEqual([0, 1]);
  });
});
