/**
 * The forms in which preference rows come: TRL's explicit and implicit prompts, conversational and plain,
 * rows of token ids, and ShareGPT rows as LLaMA-Factory writes them.
 */
import type { Message, PairContext, PairRow, Role } from './pairs.js';

/** Why a row cannot be used; the reader turns it into a quarantined row. */
export class BadRowError extends Error {}

type Row = Record<string, unknown>;

const SHAREGPT_ROLES: Readonly<Record<string, Role>> = {
  human: 'user',
  user: 'user',
  gpt: 'assistant',
  assistant: 'assistant',
  system: 'system',
  observation: 'tool',
  tool: 'tool',
};
const ROLES: readonly string[] = ['system', 'user', 'assistant', 'tool'];

/**
 * One parsed JSON row as a pair. The form is told from the keys:
 *
 * - `prompt_ids`, `chosen_ids`, `rejected_ids`: token ids
 * - `conversations`, `chosen`, `rejected`: ShareGPT (`from` and `value`, `system` beside or within)
 * - `prompt`, `chosen`, `rejected` as message lists, or as strings: TRL, explicit prompt
 * - `chosen`, `rejected` that begin alike, as message lists or as strings: TRL, implicit prompt. The shared
 *   beginning is the prompt, as in TRL's `extract_prompt`; of strings a space before the first difference
 *   goes to the responses. Message lists beside a `prompt` that is a string are read this way too.
 *
 * @throws BadRowError that says what was expected and what came
 */
export function parsePairRow(row: unknown): PairRow {
  if (!isObject(row)) throw new BadRowError(`expected a JSON object, got ${describe(row)}`);
  const context = readContext(row);
  const pair = readTexts(row);
  if (sameResponses(pair)) throw new BadRowError('chosen and rejected are the same');
  return { ...pair, ...context };
}

function readTexts(row: Row): PairRow {
  if ('prompt_ids' in row || 'chosen_ids' in row || 'rejected_ids' in row) {
    return {
      promptIds: readIds(row, 'prompt_ids'),
      chosenIds: readIds(row, 'chosen_ids'),
      rejectedIds: readIds(row, 'rejected_ids'),
    };
  }
  for (const key of ['chosen', 'rejected']) {
    if (row[key] === undefined || row[key] === null) {
      throw new BadRowError(`expected the key "${key}", got only ${listKeys(row)}`);
    }
  }
  if (row.conversations !== undefined) return readShareGpt(row);
  const { prompt, chosen, rejected } = row;
  if (typeof chosen === 'string' && typeof rejected === 'string')
    return readStrings(prompt, chosen, rejected);
  return readConversations(prompt, chosen, rejected);
}

function readStrings(prompt: unknown, chosen: string, rejected: string): PairRow {
  if (prompt === undefined || prompt === null) {
    const end = sharedTextLength(chosen, rejected);
    if (end === 0) throw new BadRowError('there is no prompt, and chosen and rejected do not begin alike');
    return {
      promptText: chosen.slice(0, end),
      chosenText: chosen.slice(end),
      rejectedText: rejected.slice(end),
    };
  }
  if (Array.isArray(prompt)) {
    return checkedPair(readMessages(prompt, 'prompt'), [assistant(chosen)], [assistant(rejected)]);
  }
  if (typeof prompt !== 'string') throw new BadRowError(`prompt: expected a string, got ${describe(prompt)}`);
  return { promptText: prompt, chosenText: chosen, rejectedText: rejected };
}

function readConversations(prompt: unknown, chosenValue: unknown, rejectedValue: unknown): PairRow {
  const chosen = readMessages(chosenValue, 'chosen');
  const rejected = readMessages(rejectedValue, 'rejected');
  if (Array.isArray(prompt)) return checkedPair(readMessages(prompt, 'prompt'), chosen, rejected);
  if (prompt !== undefined && prompt !== null && typeof prompt !== 'string') {
    throw new BadRowError(`prompt: expected a list of messages, got ${describe(prompt)}`);
  }
  let shared = 0;
  while (
    shared < Math.min(chosen.length, rejected.length) - 1 &&
    sameMessage(chosen[shared], rejected[shared])
  ) {
    shared++;
  }
  const extracted = chosen.slice(0, shared);
  if (extracted.length === 0 && typeof prompt === 'string') extracted.push({ role: 'user', content: prompt });
  if (extracted.length === 0) {
    throw new BadRowError('there is no prompt, and chosen and rejected do not begin with the same messages');
  }
  return checkedPair(extracted, chosen.slice(shared), rejected.slice(shared));
}

function readShareGpt(row: Row): PairRow {
  const prompt = readMessages(row.conversations, 'conversations');
  if (typeof row.system === 'string' && row.system !== '' && prompt[0]?.role !== 'system') {
    prompt.unshift({ role: 'system', content: row.system });
  }
  return checkedPair(prompt, readAnswer(row.chosen, 'chosen'), readAnswer(row.rejected, 'rejected'));
}

function readAnswer(value: unknown, key: string): Message[] {
  if (typeof value === 'string') return [assistant(value)];
  return Array.isArray(value) ? readMessages(value, key) : [readMessage(value, key)];
}

function checkedPair(prompt: Message[], chosen: Message[], rejected: Message[]): PairRow {
  if (prompt.length === 0) throw new BadRowError('prompt: expected at least one message, got none');
  if (prompt.at(-1)?.role === 'assistant') {
    throw new BadRowError(
      'prompt: expected its last message to be to the assistant, got an assistant message',
    );
  }
  for (const [key, messages] of [['chosen', chosen] as const, ['rejected', rejected] as const]) {
    if (messages.length !== 1) {
      throw new BadRowError(
        `${key}: expected one assistant message after the prompt, got ${messages.length}`,
      );
    }
    if (messages[0]?.role !== 'assistant') {
      throw new BadRowError(`${key}: expected an assistant message, got one of role "${messages[0]?.role}"`);
    }
  }
  return { prompt, chosen, rejected };
}

/** A list of messages in a row. `key` names it in errors. */
export function readMessages(value: unknown, key: string): Message[] {
  if (!Array.isArray(value))
    throw new BadRowError(`${key}: expected a list of messages, got ${describe(value)}`);
  return value.map((message, index) => readMessage(message, `${key}[${index}]`));
}

function readMessage(value: unknown, place: string): Message {
  if (!isObject(value)) throw new BadRowError(`${place}: expected a message, got ${describe(value)}`);
  if (Array.isArray(value.tool_calls) && value.tool_calls.length > 0) {
    throw new BadRowError(`${place}: tool calls are not supported`);
  }
  const shareGpt = value.role === undefined && value.from !== undefined;
  const name = String(shareGpt ? value.from : value.role);
  const role = shareGpt ? SHAREGPT_ROLES[name] : ROLES.includes(name) ? (name as Role) : undefined;
  if (role === undefined) {
    throw new BadRowError(
      `${place}: expected a role of ${(shareGpt ? Object.keys(SHAREGPT_ROLES) : ROLES).join(', ')}, got "${name}"`,
    );
  }
  return { role, content: readContent(shareGpt ? value.value : value.content, place) };
}

function readContent(value: unknown, place: string): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) {
    return value
      .map((part) => {
        if (isObject(part) && part.type === 'text' && typeof part.text === 'string') return part.text;
        throw new BadRowError(
          `${place}: expected text, got a part of type "${isObject(part) ? part.type : part}"`,
        );
      })
      .join('');
  }
  throw new BadRowError(`${place}: expected text, got ${describe(value)}`);
}

function readIds(row: Row, key: string): number[] {
  const value = row[key];
  if (!Array.isArray(value) || value.length === 0) {
    throw new BadRowError(`${key}: expected a list of token ids, got ${describe(value)}`);
  }
  const bad = value.find((id) => !Number.isInteger(id) || id < 0 || id > 0x7fffffff);
  if (bad !== undefined) throw new BadRowError(`${key}: expected token ids, got ${describe(bad)}`);
  return value as number[];
}

/** What a row holds beside its texts. */
export function readContext(row: Row): PairContext {
  const context: PairContext = {};
  if (typeof row.id === 'string' || typeof row.id === 'number') context.id = String(row.id);
  if (typeof row.user === 'number') context.user = String(row.user);
  for (const key of ['persona', 'user', 'source'] as const) {
    const value = row[key];
    // Tables turned into JSON write null, and often the empty string, where there is nothing.
    if (value === undefined || value === null || value === '' || context[key] !== undefined) continue;
    if (typeof value !== 'string') throw new BadRowError(`${key}: expected a string, got ${describe(value)}`);
    context[key] = value;
  }
  if (row.scores !== undefined && row.scores !== null) {
    const scores = row.scores;
    if (!isObject(scores) || !Number.isFinite(scores.chosen) || !Number.isFinite(scores.rejected)) {
      throw new BadRowError(
        `scores: expected {"chosen": number, "rejected": number}, got ${JSON.stringify(scores)?.slice(0, 80)}`,
      );
    }
    context.scores = { chosen: scores.chosen as number, rejected: scores.rejected as number };
  }
  if (row.margin !== undefined && row.margin !== null) {
    if (!Number.isFinite(row.margin)) {
      throw new BadRowError(`margin: expected a number, got ${describe(row.margin)}`);
    }
    context.margin = row.margin as number;
  }
  return context;
}

function sameResponses(pair: PairRow): boolean {
  if ('chosenText' in pair) return pair.chosenText === pair.rejectedText;
  if ('chosenIds' in pair) return JSON.stringify(pair.chosenIds) === JSON.stringify(pair.rejectedIds);
  return pair.chosen[0]?.content === pair.rejected[0]?.content;
}

function sharedTextLength(a: string, b: string): number {
  let end = 0;
  while (end < Math.min(a.length, b.length) && a[end] === b[end]) end++;
  // Never between the two halves of one character.
  if (end > 0 && /[\uD800-\uDBFF]/.test(a[end - 1] as string)) end--;
  return end > 0 && a[end - 1] === ' ' ? end - 1 : end;
}

function sameMessage(a: Message | undefined, b: Message | undefined): boolean {
  return a?.role === b?.role && a?.content === b?.content;
}

function assistant(content: string): Message {
  return { role: 'assistant', content };
}

export function isObject(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function listKeys(row: Row): string {
  return (
    Object.keys(row)
      .slice(0, 12)
      .map((key) => `"${key}"`)
      .join(', ') || 'none'
  );
}

/** A value in a few words, for errors. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return 'an object';
  const text = JSON.stringify(value);
  return `${typeof value} ${text.length > 60 ? `${text.slice(0, 60)}...` : text}`;
}
