/** Which pairs are wanted, and in which order. */

import type { ListedPair, PairBlock } from '../embed-data.js';
import type { ShownRun } from './state.js';
import { unpack } from './unpack.js';

export type Order = 'run' | 'largest-gap' | 'smallest-gap';

export interface Wanted {
  /** Words that must be in a pair's texts or names, whatever their case. */
  text: string;
  user: string;
  source: string;
  /** Least difference of the rewards; null for any, rewards or none. */
  leastGap: number | null;
  order: Order;
}

export const EVERYTHING: Wanted = { text: '', user: '', source: '', leastGap: null, order: 'run' };

export interface SearchHooks {
  /** Whether something else is wanted by now. */
  isStale(): boolean;
  /** Told of each block of pairs that was looked through: how many were found so far, and which share is done. */
  onProgress(found: number, share: number): void;
}

export function gapOf([, , , chosen, rejected]: ListedPair): number | null {
  return chosen === null || rejected === null ? null : chosen - rejected;
}

/**
 * Indices of the wanted pairs in the wanted order. Words are looked for in all texts, which are unpacked block by
 * block; null where something else is wanted by now.
 */
export async function findPairs(
  run: ShownRun,
  list: readonly ListedPair[],
  wanted: Wanted,
  { isStale, onProgress }: SearchHooks,
): Promise<number[] | null> {
  let found = list.flatMap((pair, i) => (fits(pair, wanted) ? [i] : []));
  const text = wanted.text.trim().toLowerCase();
  if (text !== '') {
    const kept: number[] = [];
    for (const [at, block] of run.blocks.entries()) {
      const some = found.filter((i) => Math.floor(i / run.pairsInBlock) === at);
      if (some.length === 0) continue;
      onProgress(kept.length, at / run.blocks.length);
      const { pairs } = await unpack<PairBlock>(block);
      if (isStale()) return null;
      kept.push(
        ...some.filter((i) =>
          textsOf(pairs[i % run.pairsInBlock]).some((each) => each.toLowerCase().includes(text)),
        ),
      );
    }
    found = kept;
  }
  return ordered(found, list, wanted.order);
}

function fits(pair: ListedPair, { user, source, leastGap }: Wanted): boolean {
  const gap = gapOf(pair);
  return (
    (user === '' || pair[1] === user) &&
    (source === '' || pair[2] === source) &&
    (leastGap === null || (gap !== null && gap >= leastGap))
  );
}

function textsOf(pair: PairBlock['pairs'][number] | undefined): string[] {
  if (pair === undefined) return [];
  const { id, user = '', prompt, chosen, rejected, followUp } = pair;
  return [id, user, chosen, rejected, followUp?.text ?? '', ...prompt.map(({ content }) => content)];
}

function ordered(found: number[], list: readonly ListedPair[], order: Order): number[] {
  if (order === 'run') return found;
  const sign = order === 'largest-gap' ? -1 : 1;
  const gap = (i: number) => gapOf(list[i] as ListedPair);
  return found.sort((a, b) => {
    const [x, y] = [gap(a), gap(b)];
    if (x === null || y === null) return Number(x === null) - Number(y === null);
    return sign * (x - y);
  });
}
