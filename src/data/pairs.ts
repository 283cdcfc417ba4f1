/** Preference pairs: TRL's explicit-prompt rows, with what we know about the user beside them. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { writeFileAtomic } from './atomic-write.js';

export type Role = 'system' | 'user' | 'assistant' | 'tool';

/** One turn of a conversation. */
export interface Message {
  role: Role;
  content: string;
}

/** What every kind of pair may carry beside its texts. */
export interface PairContext {
  /** Name of the row; a hash of the content where there is none (see `pairId`). */
  id?: string;
  /** What is known of the user, in words; enters the prompt of policy and reference alike. */
  persona?: string;
  user?: string;
  /** Where the pair comes from: a rewrite, a reward model, a data set. */
  source?: string;
  scores?: { chosen: number; rejected: number };
  /** By how much chosen should be ahead in the loss of a reward model: TRL's `margin` column. */
  margin?: number;
}

/**
 * A conversation and two answers to its last message, `chosen` preferred over `rejected`: TRL's
 * conversational explicit-prompt row. `chosen` and `rejected` hold exactly one assistant message each.
 */
export interface PreferencePair extends PairContext {
  prompt: Message[];
  chosen: Message[];
  rejected: Message[];
}

/** Plain strings: `promptText` goes on as `chosenText` or `rejectedText`. TRL's standard format. */
export interface TextPair extends PairContext {
  promptText: string;
  chosenText: string;
  rejectedText: string;
}

/** Token ids, taken as they are: nothing is added, so the responses should end with their end-of-turn token. */
export interface TokenPair extends PairContext {
  promptIds: number[];
  chosenIds: number[];
  rejectedIds: number[];
}

/** A row of a pairs file in one of its three forms. */
export type PairRow = PreferencePair | TextPair | TokenPair;

/** Whether a row holds messages (a conversation with two answers), rather than plain strings or token ids. */
export function isPreferencePair(pair: PairRow): pair is PreferencePair {
  return 'prompt' in pair;
}

export function isTextPair(pair: PairRow): pair is TextPair {
  return 'promptText' in pair;
}

/** The row's own id, or the first 16 hex digits of the SHA-256 of its content. */
export function pairId(pair: PairRow): string {
  return (
    pair.id ??
    createHash('sha256')
      .update(JSON.stringify(pairToRow(pair)))
      .digest('hex')
      .slice(0, 16)
  );
}

const roleSchema = z.enum(['system', 'user', 'assistant', 'tool']);
const messageSchema = z.object({ role: roleSchema, content: z.string() });
const answerSchema = z
  .array(messageSchema)
  .length(1, 'expected exactly one message')
  .refine(([message]) => message?.role === 'assistant', 'expected an assistant message');

/** Checks the one form in which our own stages write pairs; other tools' forms are read by `parsePairRow`. */
export const preferencePairSchema = z.object({
  prompt: z
    .array(messageSchema)
    .min(1, 'expected at least one message')
    .refine((messages) => messages.at(-1)?.role !== 'assistant', 'must not end with an assistant message'),
  chosen: answerSchema,
  rejected: answerSchema,
  id: z.string().optional(),
  persona: z.string().optional(),
  user: z.string().optional(),
  source: z.string().optional(),
  scores: z.object({ chosen: z.number(), rejected: z.number() }).optional(),
  margin: z.number().optional(),
});

/** The JSON object that stands for a pair in a file, in a fixed order of keys. */
export function pairToRow(pair: PairRow): Record<string, unknown> {
  const texts = isPreferencePair(pair)
    ? { prompt: pair.prompt, chosen: pair.chosen, rejected: pair.rejected }
    : isTextPair(pair)
      ? { prompt: pair.promptText, chosen: pair.chosenText, rejected: pair.rejectedText }
      : { prompt_ids: pair.promptIds, chosen_ids: pair.chosenIds, rejected_ids: pair.rejectedIds };
  const { id, persona, user, source, scores, margin } = pair;
  const context = { id, persona, user, source, scores, margin };
  return {
    ...texts,
    ...Object.fromEntries(Object.entries(context).filter(([, value]) => value !== undefined)),
  };
}

/** Writes pairs as JSONL that `readPairs` and TRL read, atomically. */
export async function writePairs(path: string, pairs: Iterable<PairRow>): Promise<void> {
  function* lines() {
    for (const pair of pairs) yield `${JSON.stringify(pairToRow(pair))}\n`;
  }
  await writeFileAtomic(path, lines());
}
