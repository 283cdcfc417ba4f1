/** Prompts with personas, to be answered by a model: rows of a file, or what a file of pairs holds of them. */
import { createHash } from 'node:crypto';
import { BadRowError, describe, isObject, readContext, readMessages } from './pair-formats.js';
import type { Message } from './pairs.js';
import { type BadRow, type ReadRowsOptions, readCheckedRows } from './read-rows.js';

/** A conversation up to a user's message that is to be answered. */
export interface PromptRow {
  /** The row's own id, or the first 16 hex digits of the SHA-256 of its content. */
  id: string;
  prompt: Message[];
  /** What is known of the user, in words. */
  persona?: string;
  user?: string;
}

/** What a file of prompts holds. */
export interface ReadPromptsResult {
  /** With the line (1-based) that each begins on. */
  prompts: { line: number; row: PromptRow }[];
  bad: BadRow[];
  /** Rows in the file that are not blank. */
  total: number;
}

/**
 * All prompts of a JSONL file or JSON array, gzipped or not: rows `{"prompt": messages or TEXT, "persona"?, "user"?,
 * "id"?}`. What else a row holds (the answers of a preference pair) is left alone.
 *
 * @throws DataError when the file cannot be read or holds no rows, or when too many of its rows are bad
 */
export async function readPrompts(file: string, options: ReadRowsOptions = {}): Promise<ReadPromptsResult> {
  const { rows, bad, total } = await readCheckedRows(file, parsePromptRow, options);
  return { prompts: rows, bad, total };
}

/** @throws BadRowError that says what was expected and what came */
export function parsePromptRow(row: unknown): PromptRow {
  if (!isObject(row)) throw new BadRowError(`expected a JSON object, got ${describe(row)}`);
  const prompt = readPrompt(row.prompt);
  const { id, persona, user } = readContext(row);
  const known = { ...(persona !== undefined && { persona }), ...(user !== undefined && { user }) };
  return { id: id ?? contentId({ prompt, ...known }), prompt, ...known };
}

function readPrompt(value: unknown): Message[] {
  if (value === undefined || value === null) throw new BadRowError('expected the key "prompt"');
  const messages: Message[] =
    typeof value === 'string' ? [{ role: 'user', content: value }] : readMessages(value, 'prompt');
  if (messages.length === 0) throw new BadRowError('prompt: expected at least one message, got none');
  if (messages.at(-1)?.role === 'assistant') {
    throw new BadRowError(
      'prompt: expected its last message to be to the assistant, got an assistant message',
    );
  }
  if (!messages.some(({ role, content }) => role === 'user' && content.trim() !== '')) {
    throw new BadRowError('prompt: expected a message of the user with words in it');
  }
  return messages;
}

function contentId(content: Omit<PromptRow, 'id'>): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 16);
}
