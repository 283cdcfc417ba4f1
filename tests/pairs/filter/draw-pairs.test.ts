import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../../src/data/random.js';
import { ConfigError } from '../../../src/errors.js';
import { drawPairs } from '../../../src/pairs/filter/draw-pairs.js';

interface Pair {
  id: string;
  user?: string;
}

/** Pairs of users who have so many each, mixed. */
const pairsOf = (counts: readonly number[]): Pair[] =>
  createRandom(1).shuffle(
    counts.flatMap((count, u) =>
      Array.from({ length: count }, (_, i) => ({ id: `p${u}.${i}`, user: `u${u}` })),
    ),
  );

describe('drawPairs', () => {
  const counts = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 8 });

  it('draws exactly what is asked for where that is possible at all, else says so', () => {
    fc.assert(
      fc.property(
        counts,
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 30 }),
        fc.nat(5),
        (each, users, size, seed) => {
          const pairs = pairsOf(each);
          const most = [...each].sort((a, b) => b - a).slice(0, users);
          const possible =
            users <= each.length && size >= users && most.reduce((sum, count) => sum + count, 0) >= size;
          if (!possible) {
            expect(() => drawPairs(pairs, { users, size, seed })).toThrow(ConfigError);
            return;
          }
          const drawn = drawPairs(pairs, { users, size, seed });
          expect(drawn).toHaveLength(size);
          expect(new Set(drawn.map(({ user }) => user)).size).toBe(users);
          expect(drawn).toEqual(pairs.filter((pair) => drawn.includes(pair)));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('depends on the seed, not on the order of the pairs', () => {
    const pairs = pairsOf([5, 5, 5, 5, 5, 5]);
    const options = { users: 2, size: 6, seed: 3 };
    const ids = (drawn: Pair[]) => drawn.map(({ id }) => id).sort();
    const first = ids(drawPairs(pairs, options));
    expect(ids(drawPairs(createRandom(9).shuffle(pairs), options))).toEqual(first);
    const others = [4, 5, 6, 7].map((seed) => ids(drawPairs(pairs, { ...options, seed })));
    expect(others.some((each) => each.join() !== first.join())).toBe(true);
  });

  it('draws users of all kinds, not those with the most pairs, where the size allows it', () => {
    const pairs = pairsOf([50, 50, ...Array(30).fill(2)]);
    const users = new Set(drawPairs(pairs, { users: 4, size: 8, seed: 0 }).map(({ user }) => user));
    expect(users.has('u0') && users.has('u1')).toBe(false);
    const forced = new Set(drawPairs(pairs, { users: 4, size: 104, seed: 0 }).map(({ user }) => user));
    expect(forced.has('u0') && forced.has('u1')).toBe(true);
  });

  it('says in numbers why a draw is impossible', () => {
    const pairs = pairsOf([3, 2, 1]);
    const draw = (users: number | null, size: number | null) => () =>
      drawPairs(pairs, { users, size, seed: 0 });
    expect(draw(4, null)).toThrow('4 users are wanted (users), 3 have pairs.');
    expect(draw(3, 2)).toThrow('3 users (users) with a pair each are more than 2 pairs (size).');
    expect(draw(2, 6)).toThrow('6 pairs of 2 users are wanted (size, users), the 2 with the most have 5.');
    expect(draw(null, 7)).toThrow('7 pairs are wanted (size), there are 6.');
    expect(() => drawPairs([{ id: 'x' }], { users: 1, size: null, seed: 0 })).toThrow(/pair x does not say/);
  });
});
