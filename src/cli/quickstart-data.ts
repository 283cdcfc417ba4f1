import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isPreferencePair, type PairRow, type PreferencePair } from '../data/pairs.js';

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
  /** With the personas that the run inferred, of users whom it knows; with those of the example, of new users. */
  held: UserPair[];
  /** One request that two users made, with what each wants. */
  spoken: UserPair[];
  /** Users of held-out pairs whose other conversations are in the log. */
  usersInLog: ReadonlySet<string>;
  trainedPairs: number;
}

/**
 * Reads the example's held-out pairs. A user of the log is met as in use: with the persona that the run inferred.
 *
 * @param run The run's folder, in which pairs and personas are
 */
export async function readHeldOut(run: string): Promise<HeldOutData> {
  const [{ readPairs }, { readRows }, { personaSchema }] = await Promise.all([
    import('../data/read-pairs.js'),
    import('../run/row-files.js'),
    import('../run/row-schemas.js'),
  ]);
  const pairsOf = async (file: string) => (await readPairs(file)).pairs;
  const names = namesByConversation();
  const personas = new Map<string, string>();
  for await (const { conversations, persona } of readRows(
    join(run, 'personas', 'personas.jsonl'),
    personaSchema,
  )) {
    const name = names.get(conversations[0] ?? '');
    if (name !== undefined) personas.set(name, persona);
  }
  const held = userPairs(await pairsOf(join(quickstartFolder(), 'held-out.jsonl'))).map((pair) => ({
    ...pair,
    persona: personas.get(pair.user) ?? pair.persona,
  }));
  return {
    held,
    spoken: sharedRequest(held) ?? held.slice(0, 2),
    usersInLog: new Set(personas.keys()),
    trainedPairs: (await pairsOf(join(run, 'pairs', 'pairs.jsonl'))).length,
  };
}

interface WhoIsWho {
  hashed_ip: string;
  header: { 'user-agent': string };
}

/** Our names of the log's users, by the ids of their conversations. */
function namesByConversation(): Map<string, string> {
  const key = ({ hashed_ip, header }: WhoIsWho) => `${hashed_ip} ${header['user-agent']}`;
  const wishes = rowsOf<WhoIsWho & { user: string }>('wishes.jsonl');
  const names = new Map(wishes.map((wish) => [key(wish), wish.user]));
  const log = rowsOf<WhoIsWho & { conversation_hash: string }>('conversations.jsonl');
  return new Map(log.map((row) => [row.conversation_hash, names.get(key(row)) ?? '']));
}

function rowsOf<Row>(file: string): Row[] {
  const lines = readFileSync(join(quickstartFolder(), file), 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Row);
}
