import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom, restoreRandom } from '../../src/data/random.js';
import { epochOrder, splitPairs } from '../../src/data/sampling.js';
import { ConfigError } from '../../src/errors.js';

describe('random numbers', () => {
  it('are those of xoshiro128** (the published algorithm in Python, from the state 1, 2, 3, 4)', () => {
    const random = restoreRandom([1, 2, 3, 4]);
    const drawn = Array.from({ length: 10 }, () => random.uint32());
    expect(drawn).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
    ]);
  });

  it('go on from a saved state, through JSON', () => {
    const random = createRandom(7);
    random.float();
    const copy = restoreRandom(JSON.parse(JSON.stringify(random.state())));
    expect(Array.from({ length: 20 }, () => copy.normal())).toEqual(
      Array.from({ length: 20 }, () => random.normal()),
    );
  });

  it('differ by seed, by all of its bits, and by stream', () => {
    const first = new Set<number>();
    for (const seed of [0, 1, 2, 2 ** 32, 2 ** 32 + 1, 2 ** 52]) {
      for (const stream of [0, 1, 2]) first.add(createRandom(seed, stream).uint32());
    }
    expect(first.size).toBe(18);
    expect(createRandom(5, 6).state()).toEqual(createRandom(5, 6).state());
  });

  it('are spread evenly', () => {
    const random = createRandom(1);
    const n = 20_000;
    const counts = Array(10).fill(0);
    let sum = 0;
    let squares = 0;
    for (let i = 0; i < n; i++) {
      counts[random.int(10)]++;
      const value = random.float();
      expect(value >= 0 && value < 1).toBe(true);
      const normal = random.normal();
      sum += normal;
      squares += normal * normal;
    }
    for (const count of counts) expect(Math.abs(count - n / 10)).toBeLessThan(5 * Math.sqrt(n / 10));
    expect(Math.abs(sum / n)).toBeLessThan(0.03);
    expect(Math.abs(squares / n - 1)).toBeLessThan(0.05);
  });

  it('shuffle copies, all orders alike', () => {
    const seen = new Map<string, number>();
    const items = ['a', 'b', 'c'];
    const random = createRandom(3);
    for (let i = 0; i < 6000; i++) {
      const key = random.shuffle(items).join('');
      seen.set(key, (seen.get(key) ?? 0) + 1);
    }
    expect(items).toEqual(['a', 'b', 'c']);
    expect(seen.size).toBe(6);
    for (const count of seen.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  it('refuse seeds, bounds and states that are none', () => {
    expect(() => createRandom(-1)).toThrow(ConfigError);
    expect(() => createRandom(1.5)).toThrow(/seed must be an integer/);
    expect(() => createRandom(1, 2 ** 32)).toThrow(ConfigError);
    expect(() => createRandom(1).int(0)).toThrow(ConfigError);
    expect(() => restoreRandom([0, 0, 0, 0])).toThrow(/all zeros/);
    expect(() => restoreRandom([1, 2, 3, -4])).toThrow(ConfigError);
  });
});

describe('epochOrder', () => {
  it('is the file order, or a permutation that depends on seed and epoch alone', () => {
    expect(epochOrder(4, { strategy: 'sequential', seed: 9, epoch: 3 })).toEqual([0, 1, 2, 3]);
    const order = epochOrder(100, { seed: 5, epoch: 2 });
    expect([...order].sort((a, b) => a - b)).toEqual(epochOrder(100, { strategy: 'sequential' }));
    expect(epochOrder(100, { seed: 5, epoch: 2 })).toEqual(order);
    expect(epochOrder(100, { seed: 5, epoch: 3 })).not.toEqual(order);
    expect(epochOrder(100, { seed: 6, epoch: 2 })).not.toEqual(order);
    // A change of the generator would change the order of every run that is resumed.
    expect(epochOrder(8, { seed: 42 })).toEqual([7, 1, 3, 2, 5, 0, 6, 4]);
  });
});

describe('splitPairs', () => {
  const pairs = Array.from({ length: 60 }, (_, index) => ({
    promptText: `q${index}`,
    chosenText: 'a',
    rejectedText: 'b',
    user: `u${index % 12}`,
  }));

  it('holds out users whole, the share that was asked for', () => {
    const { train, eval: held } = splitPairs(pairs, { evalShare: 0.25, seed: 1 });
    expect([train.length, held.length]).toEqual([45, 15]);
    const users = new Set(held.map(({ user }) => user));
    expect(users.size).toBe(3);
    expect(train.some(({ user }) => users.has(user))).toBe(false);
  });

  it('does not depend on the order of rows, and keeps it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1000 }),
        fc.constantFrom<'user' | 'pair'>('user', 'pair'),
        (seed, by) => {
          const split = splitPairs(pairs, { evalShare: 0.2, by, seed });
          const shuffled = splitPairs(createRandom(seed).shuffle(pairs), { evalShare: 0.2, by, seed });
          expect(new Set(shuffled.eval)).toEqual(new Set(split.eval));
          expect(split.train.length + split.eval.length).toBe(60);
          expect(split.eval).toEqual(pairs.filter((pair) => split.eval.includes(pair)));
        },
      ),
      { numRuns: 30 },
    );
  });

  it('moves no one across but at the edge when rows are added', () => {
    const more = [
      ...pairs,
      ...pairs.slice(0, 5).map((pair) => ({ ...pair, user: `new ${pair.promptText}` })),
    ];
    const before = new Set(splitPairs(pairs, { evalShare: 0.25 }).eval.map(({ user }) => user));
    const after = new Set(splitPairs(more, { evalShare: 0.25 }).eval.map(({ user }) => user));
    const old = [...after].filter((user) => !user.startsWith('new'));
    expect(old.filter((user) => !before.has(user)).length).toBeLessThanOrEqual(1);
  });

  it('by pair, and with pairs that have no user', () => {
    expect(splitPairs(pairs, { evalShare: 0.1, by: 'pair' }).eval).toHaveLength(6);
    const nobody = pairs.map(({ user: _, ...pair }) => pair);
    expect(splitPairs(nobody, { evalShare: 0.5 }).eval).toHaveLength(30);
    expect(splitPairs(pairs, { evalShare: 0.5, seed: 1 }).eval).not.toEqual(
      splitPairs(pairs, { evalShare: 0.5, seed: 2 }).eval,
    );
  });

  it('holds out at least one and never all, unless told to', () => {
    expect(new Set(splitPairs(pairs, { evalShare: 0.001 }).eval.map(({ user }) => user)).size).toBe(1);
    expect(splitPairs(pairs, { evalShare: 0.999 }).train.length).toBe(5);
    expect(splitPairs(pairs, { evalShare: 0 })).toEqual({ train: pairs, eval: [] });
    expect(splitPairs(pairs, { evalShare: 1 })).toEqual({ train: [], eval: pairs });
    expect(() => splitPairs(pairs.slice(0, 1), { evalShare: 0.5 })).toThrow(/only one/);
    expect(() => splitPairs(pairs, { evalShare: Number.NaN })).toThrow(ConfigError);
  });
});
