/** The votes of a study, kept as they are given: a line each, so that nothing is lost whenever it stops. */
import { appendFileSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { DataError } from '../../errors.js';

export const voteSchema = z.object({
  participant: z.string().min(1),
  /** Of the turn. */
  id: z.string().min(1),
  winner: z.enum(['answer', 'original', 'tie']),
  /** Whose answer stood on the left. */
  left: z.enum(['answer', 'original']),
  /** From seeing to voting. */
  seconds: z.number().min(0),
  /** ISO 8601. */
  time: z.string(),
});
export type Vote = z.output<typeof voteSchema>;

/** Adds a vote to the file; it is on disk when this returns. */
export function appendVote(path: string, vote: Vote): void {
  mkdirSync(dirname(path), { recursive: true });
  const descriptor = openSync(path, 'a');
  try {
    appendFileSync(descriptor, `${JSON.stringify(vote)}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * The votes that count: of each participant and turn the last one, since minds are changed. A last line that was cut
 * off while it was written is left out. None where there is no file yet.
 *
 * @throws DataError for another line that is no vote
 */
export function readVotes(path: string): Vote[] {
  if (!existsSync(path)) return [];
  const text = readFileSync(path, 'utf8');
  const lines = text.split('\n');
  const whole = text.endsWith('\n') ? lines.length : lines.length - 1;
  const votes = new Map<string, Vote>();
  for (const [index, line] of lines.slice(0, whole).entries()) {
    if (line.trim() === '') continue;
    const vote = voteOf(line, path, index + 1);
    votes.set(JSON.stringify([vote.participant, vote.id]), vote);
  }
  return [...votes.values()];
}

function voteOf(line: string, file: string, row: number): Vote {
  try {
    return voteSchema.parse(JSON.parse(line));
  } catch (cause) {
    throw new DataError('expected a vote of a human study', { file, row, cause });
  }
}
