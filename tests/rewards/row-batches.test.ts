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

test('rows of different lengths are not padded much, whatever requests they belong to', () => {
  const groups = Array.from({ length: 40 }, (_, request): RowGroup => {
    const context = Array.from({ length: 20 + 5 * request }, (_, i) => i);
    return {
      request,
      rows: [20, 200, 60 + 10 * request].map((length) => [...context, ...Array(length).fill(request)]),
    };
  });
  const batches = planBatches(groups.map(shareRows), 8192);
  const tokens = batches
    .flatMap(({ rows }) => rows.map(({ ids }) => ids.length))
    .reduce((sum, n) => sum + n, 0);
  const padded = batches.reduce(
    (sum, { rows }) => sum + rows.length * longest(rows.map(({ ids }) => ids)),
    0,
  );
  expect(padded / tokens).toBeLessThan(1.2);
  // Each context is computed once: batches with the same prefixes follow one another.
  const changes = batches.filter(({ prefixes }, i) => prefixes !== batches[i - 1]?.prefixes);
  expect(changes.flatMap(({ prefixes }) => prefixes)).toHaveLength(groups.length);
});

test('short answers to a long context do not look at more of it than memory has room for', () => {
  const context = Array.from({ length: 3000 }, (_, i) => i);
  const rows = Array.from({ length: 100 }, (_, i) => [...context, i, i]);
  const batches = planBatches([shareRows({ request: 0, rows })], 1000);
  for (const { prefixes, rows: part } of batches) {
    expect(part.length * (longest(prefixes) + 2)).toBeLessThanOrEqual(8 * 1000);
  }
});
