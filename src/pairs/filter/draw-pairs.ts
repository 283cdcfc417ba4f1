/** Equal data for baselines: so many pairs, of so many users (Figure 4). */
import { createHash } from 'node:crypto';
import { ConfigError } from '../../errors.js';

export interface DrawOptions {
  /** Exactly so many users; null for all. */
  users: number | null;
  /** Exactly so many pairs; null for all that the users have. */
  size: number | null;
  seed: number;
}

interface Drawable {
  id: string;
  user?: string;
}

interface User<Pair> {
  name: string;
  rank: string;
  pairs: Pair[];
}

/**
 * Exactly `users` users with exactly `size` pairs among them, at least one of each, in the order in which they came.
 *
 * Users are ranked by a hash of seed and name, and the first ones taken. Where these have fewer than `size` pairs, the
 * one with the fewest gives way to the next in rank who has more, until there are enough: the draw is as random as
 * the size lets it be. Pairs are ranked in the same way by seed and id. So the draw depends on neither the order of the
 * pairs nor, but for the edge of the ranking, on who else there is.
 *
 * @throws ConfigError with the numbers where there are not as many users or pairs, or a pair has no user
 */
export function drawPairs<Pair extends Drawable>(
  pairs: readonly Pair[],
  { users, size, seed }: DrawOptions,
): Pair[] {
  const groups = users === null ? null : drawUsers(groupByUser(pairs, seed), users, size);
  const available = groups === null ? [...pairs] : groups.flatMap((group) => group.pairs);
  if (size === null || size === available.length) return inOrder(pairs, available);
  if (size > available.length) {
    throw new ConfigError(`${size} pairs are wanted (size), there are ${available.length}.`);
  }
  const rank = ({ id }: Pair) => rankOf(seed, 'pair', id);
  const certain = new Set(groups?.map((group) => byRank(group.pairs, rank)[0] as Pair));
  const others = byRank(
    available.filter((pair) => !certain.has(pair)),
    rank,
  );
  return inOrder(pairs, [...certain, ...others.slice(0, size - certain.size)]);
}

function groupByUser<Pair extends Drawable>(pairs: readonly Pair[], seed: number): User<Pair>[] {
  const users = new Map<string, User<Pair>>();
  for (const pair of pairs) {
    if (pair.user === undefined) {
      throw new ConfigError(`Users can't be drawn (users): pair ${pair.id} does not say whose it is.`);
    }
    const user = users.get(pair.user) ?? {
      name: pair.user,
      rank: rankOf(seed, 'user', pair.user),
      pairs: [],
    };
    user.pairs.push(pair);
    users.set(pair.user, user);
  }
  return byRank([...users.values()], ({ rank }) => rank);
}

function drawUsers<Pair>(ranked: readonly User<Pair>[], count: number, size: number | null): User<Pair>[] {
  if (count > ranked.length) {
    throw new ConfigError(`${count} users are wanted (users), ${ranked.length} have pairs.`);
  }
  if (size !== null && size < count) {
    throw new ConfigError(`${count} users (users) with a pair each are more than ${size} pairs (size).`);
  }
  const taken = ranked.slice(0, count);
  let total = taken.reduce((sum, { pairs }) => sum + pairs.length, 0);
  for (const next of ranked.slice(count)) {
    if (size === null || total >= size) break;
    const poorest = taken.reduce((least, user) => (user.pairs.length <= least.pairs.length ? user : least));
    if (next.pairs.length <= poorest.pairs.length) continue;
    total += next.pairs.length - poorest.pairs.length;
    taken[taken.indexOf(poorest)] = next;
  }
  if (size !== null && total < size) {
    throw new ConfigError(
      `${size} pairs of ${count} users are wanted (size, users), the ${count} with the most have ${total}.`,
    );
  }
  return taken;
}

function rankOf(seed: number, kind: string, name: string): string {
  return createHash('sha256').update(`${seed} ${kind} ${name}`).digest('hex');
}

function byRank<Item>(items: readonly Item[], rank: (item: Item) => string): Item[] {
  return items
    .map((item) => ({ item, rank: rank(item) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .map(({ item }) => item);
}

function inOrder<Pair>(pairs: readonly Pair[], drawn: readonly Pair[]): Pair[] {
  const kept = new Set(drawn);
  return pairs.filter((pair) => kept.has(pair));
}
