/** One row of a JSON file as the engine takes it; what can't be read at all is said here, the rest by the engine. */
import { createHash } from 'node:crypto';
import type { RawRow } from '../row-stream.js';
import { engineJson } from './conversation-file.js';
import { type FormatColumns, isHashed, TURN_COLUMNS, userFieldsOf } from './formats.js';

/** Separates the fields of a user's key; no header holds it. */
export const FIELD_SEPARATOR = '\u001f';
/** Hex digits of a hashed user: 64 bits tell a billion users apart. */
export const USER_DIGITS = 16;

/** A row as it goes into the engine: texts only, the engine knows types and checks the messages. */
export interface StagedRow {
  /** 1-based line of the file. */
  row: number;
  problem?: string;
  detail?: string;
  id?: string;
  user?: string;
  model?: string;
  language?: string;
  time?: string;
  toxic?: string;
  redacted?: string;
  /** JSON list of messages. */
  turns?: string;
}

type JsonObject = Record<string, unknown>;

/** What a row holds: an object that may be a conversation, or nothing that can be used. */
export type ParsedRow = { object: JsonObject; bad?: undefined } | { object?: undefined; bad: StagedRow };

/** Why a row cannot be used. */
class RowProblem extends Error {
  constructor(
    readonly reason: string,
    detail: string,
  ) {
    super(detail);
  }
}

/** The objects of a row: most rows hold one conversation, but an object may be wrapped around a list of them. */
export function parseJsonRow({ line, bytes, tooLong }: RawRow, maxRowBytes: number): ParsedRow[] {
  try {
    if (tooLong) throw new RowProblem('row-too-long', `the row has more than ${maxRowBytes} bytes`);
    return unwrapped(parsed(bytes)).map((value) => {
      if (isObject(value)) return { object: value };
      const detail = `expected a JSON object, got ${typeName(value)}`;
      return { bad: { row: line, problem: 'not-an-object', detail } };
    });
  } catch (error) {
    return [{ bad: problemRow(line, error) }];
  }
}

/** A row of one conversation; `columns` are those of its file, undefined where no messages are known in it. */
export function stageJsonRow(
  line: number,
  object: JsonObject,
  columns: FormatColumns | undefined,
): StagedRow {
  try {
    const turns = columns === undefined ? undefined : firstOf(object, columns.turns);
    if (columns === undefined || turns === undefined || turns === null) {
      throw new RowProblem(
        'missing-columns',
        `expected ${(columns?.turns ?? TURN_COLUMNS).join(' or ')} with the messages, got ${keysOf(object)}`,
      );
    }
    if (!Array.isArray(turns)) {
      throw new RowProblem('missing-columns', `expected a list of messages, got ${typeName(turns)}`);
    }
    const messages = turns.map((turn, index) => message(turn, index, columns));
    const system = scalar(firstOf(object, columns.system));
    if (system !== undefined && system.trim() !== '' && messages[0]?.role !== 'system') {
      messages.unshift({ role: 'system', content: system });
    }
    return {
      row: line,
      ...defined({
        id: scalar(firstOf(object, columns.id)),
        user: userOf(object, columns),
        model: scalar(firstOf(object, columns.model)),
        language: scalar(firstOf(object, columns.language)),
        time: scalar(firstOf(object, columns.time)),
        toxic: scalar(firstOf(object, columns.toxic)),
        redacted: scalar(firstOf(object, columns.redacted)),
      }),
      turns: engineJson(messages),
    };
  } catch (error) {
    return problemRow(line, error);
  }
}

/** Whether a JSON object has a field; a dot leads into a nested object. */
export function hasField(object: JsonObject): (name: string) => boolean {
  return (name) => field(object, name) !== undefined;
}

function message(turn: unknown, index: number, columns: FormatColumns): JsonObject {
  if (!isObject(turn)) {
    throw new RowProblem(
      'unreadable-message',
      `message ${index + 1}: expected an object, got ${typeName(turn)}`,
    );
  }
  return defined({
    role: scalar(firstOf(turn, columns.role)),
    content: textOf(firstOf(turn, columns.content), index),
    language: scalar(firstOf(turn, columns.turnLanguage)),
    time: scalar(firstOf(turn, columns.turnTime)),
    toxic: scalar(firstOf(turn, columns.turnToxic)),
    redacted: scalar(firstOf(turn, columns.turnRedacted)),
  });
}

/** A message's text; a list of parts is one text, if all of them are text. */
function textOf(content: unknown, index: number): string | undefined {
  if (content === undefined || content === null) return undefined;
  if (typeof content === 'string') return content;
  if (Array.isArray(content)) {
    return content
      .map((part) => {
        if (typeof part === 'string') return part;
        if (isObject(part) && typeof part.text === 'string') return part.text;
        const kind = isObject(part) ? `a part of type ${JSON.stringify(part.type)}` : typeName(part);
        throw new RowProblem('unreadable-message', `message ${index + 1}: expected text, got ${kind}`);
      })
      .join('');
  }
  throw new RowProblem('unreadable-message', `message ${index + 1}: expected text, got ${typeName(content)}`);
}

function userOf(object: JsonObject, columns: FormatColumns): string | undefined {
  const fields = userFieldsOf(columns, hasField(object));
  const values = fields.map((name) => scalar(field(object, name)) ?? '');
  if (values[0] === undefined || values[0] === '') return undefined;
  if (!isHashed(fields)) return values.join(FIELD_SEPARATOR);
  return createHash('sha256').update(values.join(FIELD_SEPARATOR)).digest('hex').slice(0, USER_DIGITS);
}

function parsed(bytes: Buffer): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new RowProblem('invalid-utf8', 'the row is not valid UTF-8');
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    // The parser's message quotes the text, which is the user's.
    const place = /at position (\d+)/.exec((error as Error).message)?.[1];
    throw new RowProblem(
      'invalid-json',
      place === undefined ? 'it ends too early, or is no JSON' : `at character ${Number(place) + 1}`,
    );
  }
}

function unwrapped(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  if (!isObject(value)) return [value];
  const [wrapped, ...others] = Object.entries(value).filter(
    ([name, inner]) => Array.isArray(inner) && (TURN_COLUMNS.includes(name) || inner.some(isConversation)),
  );
  const list = wrapped?.[1] as unknown[] | undefined;
  // Beside a list of messages a list of conversations is something else, such as other branches.
  return list?.some(isConversation) && others.length === 0 ? list : [value];
}

function isConversation(value: unknown): boolean {
  return isObject(value) && TURN_COLUMNS.some((name) => Array.isArray(value[name]));
}

function problemRow(row: number, error: unknown): StagedRow {
  if (!(error instanceof RowProblem)) throw error;
  return { row, problem: error.reason, detail: error.message };
}

function firstOf(object: JsonObject, names: readonly string[]): unknown {
  for (const name of names) {
    const value = field(object, name);
    if (value !== undefined) return value;
  }
  return undefined;
}

function field(object: JsonObject, name: string): unknown {
  if (Object.hasOwn(object, name)) return object[name];
  const dot = name.indexOf('.');
  if (dot === -1) return undefined;
  const inner = object[name.slice(0, dot)];
  return isObject(inner) ? field(inner, name.slice(dot + 1)) : undefined;
}

function scalar(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  // What MongoDB's export makes of ids and dates.
  if (isObject(value) && Object.keys(value).length === 1) return scalar(value.$oid ?? value.$date);
  return undefined;
}

function defined<Value extends JsonObject>(object: Value): { [Key in keyof Value]: NonNullable<Value[Key]> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as never;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function keysOf(object: JsonObject): string {
  const keys = Object.keys(object).slice(0, 12);
  return keys.length === 0 ? 'nothing' : `only ${keys.join(', ')}`;
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}
