import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isPreferencePair, type PairRow, type PreferencePair } from '../data/pairs.js';
import type { ResolvedTrainOptions } from '../train/options.js';

/** The folder of the quickstart's data, which is part of the package. */
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

/** What the quickstart is measured by. */
export interface HeldOutData {
  held: UserPair[];
  /** One request that two users made, with what each wants. */
  spoken: UserPair[];
  /** Users of held-out pairs whose other conversations are in the log. */
  usersInLog: ReadonlySet<string>;
  trainedPairs: number;
}

/** Reads the held-out pairs, and counts those that are trained on. */
export async function readHeldOut({ pairs, evalPairs }: ResolvedTrainOptions): Promise<HeldOutData> {
  const { readPairs } = await import('../data/read-pairs.js');
  const read = async (files: readonly string[]) =>
    (await Promise.all(files.map(async (file) => (await readPairs(file)).pairs))).flat();
  const held = userPairs(await read(evalPairs ?? []));
  return {
    held,
    spoken: sharedRequest(held) ?? held.slice(0, 2),
    usersInLog: usersInLog(),
    trainedPairs: (await read(pairs)).length,
  };
}

/** Our names of the log's users. */
function usersInLog(): Set<string> {
  const lines = readFileSync(join(quickstartFolder(), 'wishes.jsonl'), 'utf8').trim().split('\n');
  return new Set(lines.map((line) => (JSON.parse(line) as { user: string }).user));
}
