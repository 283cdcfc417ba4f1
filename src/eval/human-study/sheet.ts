/** Which turns a person judges, and which answer stands where (section 3.4). */
import { createHash } from 'node:crypto';
import type { Message } from '../../data/pairs.js';
import { createRandom } from '../../data/random.js';
import { ConfigError } from '../../errors.js';
import type { AnswerRow } from '../user-eval/files.js';

export interface SheetOptions {
  /** Turns that one person judges. Default 50, as in the paper. */
  turns?: number;
  /** So many of them are the same for everybody, so that agreement can be told. Default 10. */
  shared?: number;
  /** Default 0. */
  seed?: number;
}

/** What a person sees of one turn: not who answered. */
export interface SheetItem {
  /** Of the turn. */
  id: string;
  prompt: readonly Message[];
  persona?: string;
  left: string;
  right: string;
}

/** An item, and whose answer stands on the left. */
export interface DealtItem {
  item: SheetItem;
  left: 'answer' | 'original';
}

/**
 * The turns of one participant: those that everybody gets and some of their own, in an order of their own, each with a
 * side of its own. The same name, answers and options give the same sheet, so that a study goes on where it was left.
 *
 * @throws ConfigError for a name that is empty or longer than 60 characters, and more shared turns than turns
 */
export function dealSheet(
  answers: readonly AnswerRow[],
  participant: string,
  { turns = 50, shared = 10, seed = 0 }: SheetOptions = {},
  personas: ReadonlyMap<string, string> = new Map(),
): DealtItem[] {
  checkParticipant(participant);
  if (shared > turns) throw new ConfigError(`${shared} shared turns are more than the ${turns} of a sheet`);
  // What everybody gets depends on the seed alone.
  const all = createRandom(seed).shuffle([...answers].sort((a, b) => (a.id < b.id ? -1 : 1)));
  const own = createRandom(seed, streamOf(participant));
  const rest = own.shuffle(all.slice(shared)).slice(0, turns - shared);
  return own.shuffle([...all.slice(0, shared), ...rest]).map((row) => {
    const left = own.int(2) === 0 ? 'answer' : 'original';
    const persona = personas.get(row.user);
    const item = {
      ...{ id: row.id, prompt: row.prompt },
      ...(persona === undefined ? {} : { persona }),
      left: left === 'answer' ? row.answer : row.original,
      right: left === 'answer' ? row.original : row.answer,
    };
    return { item, left };
  });
}

/** @throws ConfigError for a name that is empty or longer than 60 characters */
export function checkParticipant(name: string): void {
  if (name.trim() === '' || name.length > 60) {
    throw new ConfigError(`a participant's name has from 1 to 60 characters, got ${name.length}`);
  }
}

/** A stream of random numbers of the participant's own; stream 0 is everybody's. */
function streamOf(participant: string): number {
  const digits = createHash('sha256').update(participant).digest('hex').slice(0, 8);
  return Math.max(1, Number.parseInt(digits, 16));
}
