/** From log files to conversations: read, checked, filtered, grouped by user, split; all of it in bounded memory. */
import { join } from 'node:path';
import { DataError, PersonaDpoError } from '../../errors.js';
import { Tally } from '../tally.js';
import { checkRows, createRowsTable } from './check-rows.js';
import { type Engine, openEngine, sqlText } from './engine.js';
import type { FormatChoice } from './formats.js';
import { applyFilters, type FunnelStep } from './funnel.js';
import { findInputFiles, type InputFile } from './input-files.js';
import { jsonSource } from './json-source.js';
import { defineMacros } from './macros.js';
import { type IngestOptions, type ResolvedIngestOptions, resolveIngestOptions } from './options.js';
import { parquetRowCount, parquetSource } from './parquet-source.js';
import type { RowSource } from './row-source.js';
import { splitByUser } from './split.js';
import { writeConversationFiles, writeDropped, writeQuarantine } from './write-outputs.js';

/** What a caller may hear and say while it runs. */
export interface IngestContext {
  signal?: AbortSignal;
  onProgress?: (progress: { done: number; total: number; text?: string }) => void;
  /** Something a person should know that is no error. */
  onNotice?: (message: string) => void;
}

export interface IngestResult {
  /** Files that were read, in their order. */
  files: string[];
  /** What each step let pass and dropped; `in = out + dropped` holds in each, and one's `out` is the next one's `in`. */
  funnel: FunnelStep[];
  /** Users that are left. */
  users: { train: number; test: number; evaluation: number };
  paths: {
    /** Conversations after filters and split, by user and time: see `readConversations`. */
    conversations: string;
    /** Those of the evaluation pool alone: users with a history and held-out conversations. */
    evaluation: string;
    /** Rows that could not be used, JSONL: `id`, `reason`, `detail`, `file`, `row`. */
    quarantine: string;
    /** Conversations that a filter dropped, JSONL: `id`, `reason`, `user`, `file`, `row`. */
    dropped: string;
  };
}

/**
 * Reads logs, quarantines rows that are no conversations, applies the filters of appendix C.1 (all but the last, which
 * needs a language model), splits by user and marks the evaluation pool. Each file of the result is written
 * atomically, `conversations.parquet` last.
 *
 * Rows without a time keep the order of their source within a user. A time that can't be read counts as none, and is
 * noted. A row without an id gets a hash of its content as one.
 *
 * @throws ConfigError for options that cannot be used
 * @throws DataError for files that are not there or damaged, and where not a single row can be used; the quarantine
 *   file is there all the same
 */
export async function ingestConversations(
  options: IngestOptions,
  context: IngestContext = {},
): Promise<IngestResult> {
  const resolved = resolveIngestOptions(options);
  const { memoryLimit, temporaryFolder, threads } = resolved;
  const engine = await openEngine({
    ...{ memoryLimit, temporaryFolder, threads },
    keepsOrder: false,
    signal: context.signal,
  });
  try {
    return await ingest(engine, resolved, context);
  } finally {
    await engine.close();
  }
}

async function ingest(
  engine: Engine,
  options: ResolvedIngestOptions,
  context: IngestContext,
): Promise<IngestResult> {
  const files = await findInputFiles(engine, options.input);
  await defineMacros(engine, options);
  await createRowsTable(engine);
  await engine.run('CREATE TEMP TABLE files (file INTEGER, path VARCHAR)');
  const { sources, rowCount } = await readFiles(engine, files, options, context);
  const paths = {
    conversations: join(options.output, 'conversations.parquet'),
    evaluation: join(options.output, 'evaluation.parquet'),
    quarantine: join(options.output, 'quarantine.jsonl'),
    dropped: join(options.output, 'dropped.jsonl'),
  };
  const say = (text: string) => context.onProgress?.({ done: rowCount, total: rowCount, text });
  say('filtering');
  const funnel = await applyFilters(engine, sources, rowCount, options);
  await writeQuarantine(engine, paths.quarantine);
  checkUsable(funnel, files, rowCount, paths.quarantine);
  await writeDropped(engine, paths.dropped);
  say('splitting by user');
  await splitByUser(engine, options);
  const users = await usersLeft(engine);
  say('writing');
  const written = await writeConversationFiles(engine, sources, paths.conversations, paths.evaluation);
  funnel.push({ step: 'split', counts: await splitCounts(engine, funnel, written) });
  if (written === 0) context.onNotice?.(nothingLeft(funnel));
  return { files: files.map(({ path }) => path), funnel, users, paths };
}

/** Checks the rows of all files one after the other; returns how to read them again, and how many there are. */
async function readFiles(
  engine: Engine,
  files: readonly InputFile[],
  options: ResolvedIngestOptions,
  { onProgress, onNotice }: IngestContext,
): Promise<{ sources: RowSource[]; rowCount: number }> {
  const sources: RowSource[] = [];
  let rowCount = 0;
  for (const [index, file] of files.entries()) {
    const progress = (done: number) =>
      onProgress?.({ done: rowCount + done, total: 0, text: `rows read, ${file.path}` });
    progress(0);
    await engine.run(`INSERT INTO files VALUES (${index}, ${sqlText(file.path)})`);
    const { source, rows } = await openSource(engine, file, index, options, progress);
    await checkRows(engine, index, source, options).catch((error: unknown) => {
      throw unreadable(error, file.path);
    });
    sources.push(source);
    rowCount += rows;
    if (rows === 0) onNotice?.(`${file.path} holds no rows.`);
  }
  return { sources, rowCount };
}

async function openSource(
  engine: Engine,
  file: InputFile,
  index: number,
  choice: FormatChoice,
  onRows: (count: number) => void,
): Promise<{ source: RowSource; rows: number }> {
  if (file.kind === 'json') return jsonSource(engine, file, index, choice, onRows);
  const source = await parquetSource(engine, file.path, choice);
  return { source, rows: await parquetRowCount(engine, file.path) };
}

/** What the engine says of a damaged file, with the file's name. */
function unreadable(error: unknown, file: string): unknown {
  if (!(error instanceof Error) || error instanceof PersonaDpoError || error.name === 'AbortError')
    return error;
  const words = error.message.split('\n')[0] ?? '';
  const what = /invalid (string encoding|UTF-?8)/i.test(words)
    ? 'It holds text that is not UTF-8, which the format does not allow'
    : 'It cannot be read to its end';
  return new DataError(`${what} (${words}).`, { file, cause: error });
}

function checkUsable(
  [read]: readonly FunnelStep[],
  files: readonly InputFile[],
  rowCount: number,
  quarantine: string,
): void {
  const place = files.length === 1 ? { file: files[0]?.path ?? '' } : {};
  if (rowCount === 0) {
    throw new DataError(
      `Expected at least one row${files.length === 1 ? '' : ` in ${files.length} files`}, found none.`,
      place,
    );
  }
  if (read === undefined || read.counts.out > 0) return;
  const reasons = Object.entries(read.counts.dropped)
    .map(([reason, count]) => `\n  ${count} x ${reason}`)
    .join('');
  throw new DataError(
    `None of ${rowCount} rows can be used:${reasons}\nEach row's reason is in ${quarantine}. Where columns have other names, give them as columns.`,
    { ...place, details: { dropped: read.counts.dropped } },
  );
}

async function splitCounts(engine: Engine, funnel: readonly FunnelStep[], written: number) {
  const tally = new Tally('conversations');
  tally.enter(funnel.at(-1)?.counts.out ?? 0);
  tally.leave(written);
  const [sides] = await engine.all<Record<'train' | 'test' | 'pooled' | 'heldOut', bigint>>(
    `SELECT count_if(side = 'train') AS train, count_if(side = 'test') AS test, count_if(pooled) AS pooled, count_if(held_out) AS "heldOut"
     FROM kept JOIN sides USING ("user", side)`,
  );
  tally.note('train', Number(sides?.train ?? 0));
  tally.note('test', Number(sides?.test ?? 0));
  tally.note('evaluation', Number(sides?.pooled ?? 0));
  tally.note('held-out', Number(sides?.heldOut ?? 0));
  return tally.counts();
}

async function usersLeft(engine: Engine): Promise<IngestResult['users']> {
  const [users] = await engine.all<Record<keyof IngestResult['users'], bigint>>(
    `SELECT count_if(side = 'train') AS train, count_if(side = 'test') AS test, count_if(pooled) AS evaluation FROM sides`,
  );
  return {
    train: Number(users?.train ?? 0),
    test: Number(users?.test ?? 0),
    evaluation: Number(users?.evaluation ?? 0),
  };
}

function nothingLeft(funnel: readonly FunnelStep[]): string {
  const most = funnel.flatMap(({ counts }) => Object.entries(counts.dropped)).sort((a, b) => b[1] - a[1])[0];
  return `No conversation is left${most === undefined ? '' : `: most (${most[1]}) were dropped as ${most[0]}`}.`;
}
