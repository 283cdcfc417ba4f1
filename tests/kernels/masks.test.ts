import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packPairs } from '../../src/data/pack.js';
import { visibility } from '../../src/kernels/oracle/attention.js';
import { attentionMasks } from '../../src/kernels/packed-layout.js';
import { defineNamed } from '../../src/runtime/named-function.js';
import { evaluate, integers } from './support.js';

/** The compiled masks of a row, put together into the matrix of all tokens by all tokens. */
function assembled(sizes: number[], window: number | null): boolean[][] {
  const pairs = (sizes.length - 1) / 3;
  const fn = defineNamed('masks', { sizes: 'int32' }, (g, v) =>
    Object.fromEntries(attentionMasks(g, v.sizes!, pairs, window).map((mask, i) => [`${i}`, mask])),
  );
  const masks = evaluate(fn, { sizes: integers(sizes) });
  const starts = sizes.map((_, piece) => sizes.slice(0, piece).reduce((a, b) => a + b, 0));
  const tokens = sizes.reduce((a, b) => a + b, 0);
  const seen = Array.from({ length: tokens }, () => new Array<boolean>(tokens).fill(false));
  for (let piece = 0; piece < 3 * pairs; piece++) {
    const prompt = piece - (piece % 3);
    const range = (of: number) => Array.from({ length: sizes[of]! }, (_, i) => starts[of]! + i);
    const keys = piece === prompt ? range(prompt) : [...range(prompt), ...range(piece)];
    range(piece).forEach((query, i) => {
      keys.forEach((key, j) => {
        seen[query]![key] = masks[piece]![i * keys.length + j] === 0;
      });
    });
  }
  return seen;
}

describe('the masks of a packed row', () => {
  const ids = fc.integer({ min: 1, max: 7 }).map((length) => new Array<number>(length).fill(3));
  const pair = fc.record({ promptIds: ids, chosenIds: ids, rejectedIds: ids });
  const window = fc.oneof(fc.constant(null), fc.integer({ min: 1, max: 9 }));

  it('show each token what the oracle says', () => {
    const rows = fc.array(pair, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(rows, window, fc.integer({ min: 1, max: 8 }), (pairs, window, padToMultipleOf) => {
        const named = pairs.map((pair, i) => ({ id: `${i}`, ...pair }));
        const { sizes, positions } = packPairs(named, { padToMultipleOf });
        expect(assembled([...sizes], window)).toEqual(visibility({ sizes, positions }, window));
      }),
      { numRuns: 25 },
    );
  });

  it('let a response see its prompt and itself, and no more', () => {
    const seen = assembled([2, 1, 2, 1], null).map((row) => row.map(Number).join(''));
    expect(seen).toEqual(['100000', '110000', '111000', '110100', '110110', '000000']);
  });

  it('end at the window', () => {
    const seen = assembled([3, 2, 1, 0], 2).map((row) => row.map(Number).join(''));
    expect(seen).toEqual(['100000', '110000', '011000', '001100', '000110', '001001']);
  });
});
