import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isPreferencePair, type PairRow, type PreferencePair } from '../data/pairs.js';

/** The folder of the quickstart's pairs, which is part of the package. */
export function quickstartFolder(): string {
  return fileURLToPath(new URL('../../examples/quickstart', import.meta.url));
}

/** The first of `runs/quickstart`, `runs/quickstart-2`, ... that isn't there yet: no run writes over another. */
export function newRunFolder(parent = 'runs'): string {
  for (let i = 1; ; i++) {
    const folder = join(parent, i === 1 ? 'quickstart' : `quickstart-${i}`);
    if (!existsSync(folder)) return folder;
  }
}

/** Pairs with messages, a user and a persona: what the quickstart's files hold. */
export type UserPair = PreferencePair & { user: string; persona: string };

export function userPairs(pairs: readonly PairRow[]): UserPair[] {
  return pairs.filter(
    (pair): pair is UserPair =>
      isPreferencePair(pair) && pair.user !== undefined && pair.persona !== undefined,
  );
}

/** Two users who made the same request in the same words and want different answers; the first such two. */
export function sharedRequest(pairs: readonly UserPair[]): [UserPair, UserPair] | undefined {
  const asked = new Map<string, UserPair>();
  for (const pair of pairs) {
    const words = JSON.stringify(pair.prompt);
    const other = asked.get(words);
    if (other !== undefined && other.persona !== pair.persona) return [other, pair];
    asked.set(words, pair);
  }
  return undefined;
}
