import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PackedBatch, packPairs, pairTokens, splitByTokenBudget } from '../../src/data/pack.js';
import type { TokenizedPair } from '../../src/data/tokenize.js';
import { ConfigError, ShapeError } from '../../src/errors.js';

const ids = fc.array(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 6 });
const anyPair: fc.Arbitrary<TokenizedPair> = fc.record({
  id: fc.string({ minLength: 1, maxLength: 4 }),
  promptIds: ids,
  chosenIds: ids,
  rejectedIds: ids,
});
const anyPairs = fc.array(anyPair, { minLength: 1, maxLength: 6 });

/** What the token at `index` may see: by the sizes alone, its prompt and what is before it in its own part. */
function context({ sizes, inputIds }: PackedBatch, index: number): number[] {
  let start = 0;
  for (let pair = 0; 3 * pair < sizes.length - 1; pair++) {
    const [prompt, chosen, rejected] = sizes.subarray(3 * pair, 3 * pair + 3) as unknown as [
      number,
      number,
      number,
    ];
    const end = start + prompt + chosen + rejected;
    if (index < end) {
      const rejectedStart = start + prompt + chosen;
      const seen = Array.from(inputIds.subarray(start, index + 1));
      return index < rejectedStart ? seen : [...seen.slice(0, prompt), ...seen.slice(prompt + chosen)];
    }
    start = end;
  }
  throw new Error('padding sees nothing');
}

describe('packPairs', () => {
  it('lays out two pairs as documented', () => {
    const pairs: TokenizedPair[] = [
      { id: 'a', promptIds: [1, 2], chosenIds: [3, 4], rejectedIds: [5] },
      { id: 'b', promptIds: [6], chosenIds: [7], rejectedIds: [8, 9], user: 'u' },
    ];
    const batch = packPairs(pairs, { padToMultipleOf: 4, padTokenId: 99 });
    expect(Array.from(batch.inputIds)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 99, 99, 99]);
    expect(Array.from(batch.positions)).toEqual([0, 1, 2, 3, 2, 0, 1, 1, 2, 0, 0, 0]);
    expect(Array.from(batch.sizes)).toEqual([2, 2, 1, 1, 1, 2, 3]);
    expect(Array.from(batch.gatherIndices)).toEqual([1, 2, 1, 5, 5, 7]);
    expect(Array.from(batch.labels)).toEqual([3, 4, 5, 7, 8, 9]);
    expect(Array.from(batch.completionSegments)).toEqual([0, 0, 1, 2, 3, 3]);
    expect(batch.pairs).toEqual(pairs);
  });

  it('predicts each completion token from exactly what comes before it in its own conversation', () => {
    fc.assert(
      fc.property(anyPairs, fc.integer({ min: 1, max: 16 }), (pairs, padToMultipleOf) => {
        const batch = packPairs(pairs, { padToMultipleOf });
        let m = 0;
        pairs.forEach((pair, index) => {
          for (const [side, completion] of [pair.chosenIds, pair.rejectedIds].entries()) {
            for (const [offset, token] of completion.entries()) {
              const at = batch.gatherIndices[m] as number;
              expect(batch.labels[m]).toBe(token);
              expect(batch.completionSegments[m]).toBe(2 * index + side);
              expect(context(batch, at)).toEqual([...pair.promptIds, ...completion.slice(0, offset)]);
              expect(batch.positions[at]).toBe(pair.promptIds.length + offset - 1);
              m++;
            }
          }
        });
        expect(batch.labels).toHaveLength(m);
        expect(batch.sizes.reduce((sum, size) => sum + size, 0)).toBe(batch.inputIds.length);
        expect(batch.inputIds.length % padToMultipleOf).toBe(0);
        expect(batch.sizes.at(-1)).toBeLessThan(padToMultipleOf);
      }),
    );
  });

  it('refuses what cannot be packed', () => {
    const pair: TokenizedPair = { id: 'a', promptIds: [1], chosenIds: [2], rejectedIds: [3] };
    expect(() => packPairs([])).toThrow(ShapeError);
    expect(() => packPairs([{ ...pair, rejectedIds: [] }])).toThrow(/Pair a has no tokens in rejectedIds/);
    expect(() => packPairs([pair], { padToMultipleOf: 0 })).toThrow(ConfigError);
  });
});

describe('splitByTokenBudget', () => {
  it('keeps every pair, in order, within the budget, and starts no group without need', () => {
    fc.assert(
      fc.property(
        anyPairs,
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 8 }),
        (pairs, maxTokens, multiple) => {
          const groups = splitByTokenBudget(pairs, { maxTokens, padToMultipleOf: multiple });
          expect(groups.flat()).toEqual(pairs);
          const packed = (group: TokenizedPair[]) =>
            packPairs(group, { padToMultipleOf: multiple }).inputIds.length;
          for (const [index, group] of groups.entries()) {
            if (group.length > 1) expect(packed(group)).toBeLessThanOrEqual(maxTokens);
            const next = groups[index + 1]?.[0];
            if (next !== undefined) expect(packed([...group, next])).toBeGreaterThan(maxTokens);
          }
        },
      ),
    );
  });

  it('gives a pair that is too long a group of its own', () => {
    const pair = (length: number): TokenizedPair => ({
      id: `${length}`,
      promptIds: Array(length - 2).fill(1),
      chosenIds: [1],
      rejectedIds: [2],
    });
    const groups = splitByTokenBudget([pair(4), pair(50), pair(4), pair(6)], { maxTokens: 10 });
    expect(groups.map((group) => group.map(pairTokens))).toEqual([[4], [50], [4, 6]]);
    expect(splitByTokenBudget([], { maxTokens: 10 })).toEqual([]);
    expect(() => splitByTokenBudget([], { maxTokens: 0 })).toThrow(ConfigError);
  });
});
