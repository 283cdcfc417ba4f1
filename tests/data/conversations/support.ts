import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterEach, beforeEach } from 'vitest';
import type { SplitConversation } from '../../../src/data/conversation.js';
import { readConversations } from '../../../src/data/conversations/conversation-file.js';
import { type IngestResult, ingestConversations } from '../../../src/data/conversations/ingest.js';
import type { IngestOptions } from '../../../src/data/conversations/options.js';

/** A folder for each test of a file, with its own name for a path in it. */
export function temporaryFolder(): { path: (name: string) => string } {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'conversations-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  return { path: (name) => join(folder, name) };
}

export type Row = Record<string, unknown>;

/** Messages by turns of user and assistant. */
export function messages(...texts: string[]): { role: string; content: string }[] {
  return texts.map((content, index) => ({ role: index % 2 === 0 ? 'user' : 'assistant', content }));
}

export function writeLines(path: string, rows: readonly unknown[]): string {
  writeFileSync(path, rows.map((row) => `${typeof row === 'string' ? row : JSON.stringify(row)}\n`).join(''));
  return path;
}

export function readLines<Line = Row>(path: string): Line[] {
  const text = readFileSync(path, 'utf8').trim();
  return text === '' ? [] : text.split('\n').map((line) => JSON.parse(line) as Line);
}

/** Statements of the engine, such as those that make a Parquet file. */
export async function runSql(...statements: string[]): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
  const connection = await instance.connect();
  for (const statement of statements) await connection.run(statement);
  connection.closeSync();
  instance.closeSync();
}

/** Every filter that is on by default, off: what is read is what comes out. */
export const NO_FILTERS = {
  languages: null,
  dropMidjourney: false,
  minConversations: null,
  maxConversations: null,
  maxTurns: null,
  missingUser: 'separate',
  threads: 2,
} as const satisfies Partial<IngestOptions>;

export interface Ingested extends IngestResult {
  conversations: SplitConversation[];
  quarantine: { id: string; reason: string; detail: string; file: string; row: number }[];
  dropped: { id: string; reason: string; user?: string; file: string; row: number }[];
}

/** Ingests, and reads everything that came of it. */
export async function ingest(options: IngestOptions): Promise<Ingested> {
  const result = await ingestConversations(options);
  return {
    ...result,
    conversations: await all(readConversations(result.paths.conversations)),
    quarantine: readLines(result.paths.quarantine),
    dropped: readLines(result.paths.dropped),
  };
}

/** Ingests rows without filters, or with those of `more`, and reads everything that came of it. */
export function ingestRows(
  folder: { path: (name: string) => string },
  rows: readonly unknown[],
  more: object = {},
): Promise<Ingested> {
  const input = writeLines(folder.path('in.jsonl'), rows);
  return ingest({ input, output: folder.path('out'), ...NO_FILTERS, ...more });
}

export async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** Counts of one step. */
export function step(result: IngestResult, name: string) {
  return result.funnel.find((each) => each.step === name)?.counts;
}
