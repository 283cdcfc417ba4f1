import fc from 'fast-check';
import { expect, test } from 'vitest';
import { longest, planBatches, type RowGroup, shareRows } from '../../src/rewards/row-batches.js';

const ids = (maxLength: number) => fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength });
const requests = fc.array(
  fc.record({
    context: fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 40 }),
    answers: fc.array(ids(20), { minLength: 1, maxLength: 6 }),
  }),
  { maxLength: 8 },
);

test('every row is in one batch, behind its own prefix, and batches keep to their size', () => {
  fc.assert(
    fc.property(requests, fc.integer({ min: 1, max: 200 }), (asked, batchTokens) => {
      const groups = asked.map(
        ({ context, answers }, request): RowGroup => ({
          request,
          rows: answers.map((answer) => [...context, ...answer]),
        }),
      );
      const batches = planBatches(groups.map(shareRows), batchTokens);
      const seen = new Map<string, number[]>();
      for (const { prefixes, rows } of batches) {
        expect(rows.length).toBeGreaterThan(0);
        for (const row of rows) {
          const key = `${row.request}:${row.index}`;
          expect(seen.has(key)).toBe(false);
          expect(row.ids.length).toBeGreaterThan(0);
          seen.set(key, [...(prefixes[row.prefix] as number[]), ...row.ids]);
        }
        const padded = rows.length * longest(rows.map((row) => row.ids));
        expect(rows.length === 1 || padded <= batchTokens).toBe(true);
        const none = prefixes.every((prefix) => prefix.length === 0);
        expect(none || prefixes.every((prefix) => prefix.length > 0)).toBe(true);
      }
      for (const { request, rows } of groups) {
        for (const [index, row] of rows.entries()) expect(seen.get(`${request}:${index}`)).toEqual(row);
      }
    }),
  );
});

test('what all rows of a request begin with is taken apart, but never all of a row', () => {
  const context = Array.from({ length: 30 }, (_, i) => i);
  const { prefix, rows } = shareRows({ request: 0, rows: [context, [...context, 1]] });
  expect(prefix).toEqual(context.slice(0, -1));
  expect(rows.map((row) => row.ids)).toEqual([[29], [29, 1]]);
  expect(shareRows({ request: 0, rows: [context] }).prefix).toEqual([]);
});

test('requests with short contexts go together', () => {
  const request = (seed: number): RowGroup => {
    const context = Array.from({ length: 20 }, (_, i) => seed * 100 + i);
    return {
      request: seed,
      rows: [
        [...context, 1],
        [...context, 2, 3],
      ],
    };
  };
  const batches = planBatches([request(1), request(2), request(3)].map(shareRows), 100);
  expect(batches.map(({ prefixes, rows }) => [prefixes.length, rows.length])).toEqual([[3, 6]]);
});
