import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readConversations } from '../../../src/data/conversations/conversation-file.js';
import { splitSide } from '../../../src/data/conversations/split.js';
import { all, ingestRows, messages, temporaryFolder } from './support.js';

const folder = temporaryFolder();
const day = (number: number) => new Date(Date.UTC(2024, 0, 1 + number)).toISOString();
const log = (user: string, number: number, more = {}) => ({
  ...{ id: `${user}-${number}`, user, time: day(number), messages: messages(`Question ${number}`, 'A') },
  ...more,
});
const logs = (user: string, count: number) => Array.from({ length: count }, (_, i) => log(user, i));
const read = (rows: readonly unknown[], more = {}) => ingestRows(folder, rows, more);

/** The first name of a kind that falls on a side. */
const onSide = (side: 'train' | 'test', kind = 'user') => {
  for (let i = 0; ; i++) if (splitSide(`${kind}${i}`) === side) return `${kind}${i}`;
};

describe('splitSide', () => {
  it('gives about the share asked for, differently for every seed', () => {
    const users = Array.from({ length: 4000 }, (_, i) => `u${i}`);
    const train = (seed: number, trainShare: number) =>
      users.filter((user) => splitSide(user, { seed, trainShare }) === 'train');
    expect(train(0, 0.8).length / users.length).toBeCloseTo(0.8, 1);
    expect(train(0, 0.3).length / users.length).toBeCloseTo(0.3, 1);
    expect(train(0, 0)).toEqual([]);
    expect(train(0, 1)).toEqual(users);
    expect(train(1, 0.8)).not.toEqual(train(0, 0.8));
  });
});

describe('the split', () => {
  it('adding data moves no user to the other side, and every conversation of a user is on one side', async () => {
    const user = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
      .filter((name) => name.trim() !== '');
    const data = fc.array(fc.tuple(user, fc.integer({ min: 1, max: 3 })), { minLength: 1, maxLength: 8 });
    const sidesOf = async (users: readonly (readonly [string, number])[], seed: number) => {
      const rows = users.flatMap(([name, count], i) =>
        Array.from({ length: count }, (_, j) => log(name, j, { id: `${i}-${j}` })),
      );
      const { conversations } = await read(rows, { seed });
      return conversations.map((each) => [each.user, each.side] as const);
    };
    await fc.assert(
      fc.asyncProperty(data, data, fc.nat(1e6), async (first, added, seed) => {
        const before = new Map(await sidesOf(first, seed));
        for (const [name, side] of await sidesOf([...first, ...added], seed)) {
          expect(side).toBe(splitSide(name, { seed }));
          if (before.has(name)) expect(side).toBe(before.get(name));
        }
        expect(new Set(before.keys())).toEqual(new Set(first.map(([name]) => name)));
      }),
      { numRuns: 12, seed: 7 },
    );
  });

  it('holds out the last five conversations of test users with at least ten, and writes their pool', async () => {
    const [pooled, small, trained] = [onSide('test', 'p'), onSide('test', 's'), onSide('train')];
    const rows = [...logs(pooled, 12).reverse(), ...logs(small, 9), ...logs(trained, 20)];
    const { conversations, funnel, users, paths } = await read(rows);
    const heldOut = conversations.filter((each) => each.heldOut).map(({ id }) => id);
    expect(heldOut).toEqual([7, 8, 9, 10, 11].map((number) => `${pooled}-${number}`));
    expect(funnel.at(-1)?.counts.noted).toEqual({ train: 20, test: 21, evaluation: 12, 'held-out': 5 });
    expect(users).toEqual({ train: 1, test: 2, evaluation: 1 });
    const pool = await all(readConversations(paths.evaluation));
    expect(pool).toEqual(conversations.filter(({ user }) => user === pooled));
    const other = await read(rows, { evaluationMinConversations: 9, evaluationHeldOut: 1 });
    expect(other.conversations.filter((each) => each.heldOut).map(({ id }) => id)).toEqual([
      `${pooled}-11`,
      `${small}-8`,
    ]);
  });

  it('orders by user, time and id; without times by their order in the source, before those with', async () => {
    const bare = (id: string) => ({ id, user: 'b', messages: messages(`Q ${id}`, 'A') });
    const rows = [
      log('b', 2, { id: 'z' }),
      log('b', 2, { id: 'y' }),
      log('b', 1, { id: 'x' }),
      bare('n'),
      bare('m'),
      log('a', 3, { id: 'w' }),
    ];
    const { conversations } = await read(rows);
    expect(conversations.map(({ id }) => id)).toEqual(['w', 'n', 'm', 'x', 'y', 'z']);
  });
});

describe('who is a user', () => {
  const row = (id: string, more: object) => ({
    conversation_hash: id,
    conversation: messages(`Q ${id}`, 'A'),
    ...more,
  });
  const header = (agent: string | null) => ({ 'accept-language': 'en', 'user-agent': agent });

  it('WildChat: address with browser and language, hashed; no address, no user', async () => {
    const rows = [
      row('a', { hashed_ip: '1', header: header('x') }),
      row('b', { hashed_ip: '1', header: header('x') }),
      row('c', { hashed_ip: '1', header: header('y') }),
      row('d', { hashed_ip: '2', header: header('x') }),
      row('e', { hashed_ip: '2', header: header(null) }),
      row('f', { hashed_ip: null, header: header('x') }),
    ];
    const { conversations } = await read(rows);
    const of = (id: string) => conversations.find((each) => each.id === id)?.user;
    expect(of('a')).toMatch(/^[0-9a-f]{16}$/);
    expect(of('b')).toBe(of('a'));
    expect(new Set(['a', 'c', 'd', 'e'].map(of)).size).toBe(4);
    expect(of('f')).toBe('f');
  });

  it('other fields can be named: one plain name is taken as it is, an address is hashed', async () => {
    const rows = [row('a', { hashed_ip: '1', account: 'ann' })];
    const user = async (userFields: string[]) => (await read(rows, { userFields })).conversations[0]?.user;
    expect(await user(['account'])).toBe('ann');
    expect(await user(['hashed_ip'])).toMatch(/^[0-9a-f]{16}$/);
    expect(await user(['hashed_ip', 'account'])).not.toBe(await user(['hashed_ip']));
  });
});
