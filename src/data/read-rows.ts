/** Reads rows of JSON from a file, each checked; those that cannot be used are counted and set aside, never lost. */
import { rm } from 'node:fs/promises';
import { DataError } from '../errors.js';
import { type AtomicFile, openAtomic } from './atomic-write.js';
import { BadRowError } from './pair-formats.js';
import { type RawRow, streamRows } from './row-stream.js';

/** Longest row that is parsed, in bytes: a guard against a file that is not JSON at all. */
const DEFAULT_MAX_ROW_BYTES = 16 * 1024 * 1024;
/** Characters of a bad row that the quarantine file keeps. */
const MAX_QUARANTINED_CHARACTERS = 100_000;

/** A row as it was read: what `parse` made of it, or why it is bad. */
export type CheckedRow<Row> =
  | { ok: true; line: number; row: Row }
  | { ok: false; line: number; reason: string; raw: string };

/** A row that could not be used, and why. */
export interface BadRow {
  file: string;
  /** 1-based. */
  line: number;
  reason: string;
}

export interface ReadRowsOptions {
  /** Bad rows are written here as JSONL (`file`, `line`, `reason`, `raw`); default none. */
  quarantinePath?: string;
  /** The largest share of bad rows with which reading still succeeds, 0 to 1. Default 0.05. */
  maxBadRowShare?: number;
  /** A longer row is a bad one. Default 16 MiB. */
  maxRowBytes?: number;
}

/** What a file of rows holds. */
export interface ReadRowsResult<Row> {
  /** With the line (1-based) that each begins on. */
  rows: { line: number; row: Row }[];
  bad: BadRow[];
  /** Rows in the file that are not blank: `rows.length + bad.length`. */
  total: number;
}

/** Makes a row of parsed JSON. Throws `BadRowError` that says what was expected and what came. */
export type RowParser<Row> = (row: unknown) => Row;

/** The rows of a file one by one, good and bad, in order; memory is bounded by one row. */
export async function* streamCheckedRows<Row>(
  file: string,
  parse: RowParser<Row>,
  { maxRowBytes = DEFAULT_MAX_ROW_BYTES }: Pick<ReadRowsOptions, 'maxRowBytes'> = {},
): AsyncGenerator<CheckedRow<Row>> {
  for await (const row of streamRows(file, maxRowBytes)) yield checkedRow(row, parse, maxRowBytes);
}

/**
 * All rows of a JSONL file or JSON array, gzipped or not.
 *
 * @throws DataError when the file cannot be read or holds no rows, or when more than `maxBadRowShare` of its
 *   rows are bad; the quarantine file is there all the same
 */
export async function readCheckedRows<Row>(
  file: string,
  parse: RowParser<Row>,
  options: ReadRowsOptions = {},
): Promise<ReadRowsResult<Row>> {
  const { quarantinePath, maxBadRowShare = 0.05 } = options;
  const rows: { line: number; row: Row }[] = [];
  const bad: BadRow[] = [];
  let quarantine: AtomicFile | undefined;
  try {
    for await (const read of streamCheckedRows(file, parse, options)) {
      if (read.ok) {
        rows.push({ line: read.line, row: read.row });
        continue;
      }
      const { line, reason, raw } = read;
      bad.push({ file, line, reason });
      if (quarantinePath !== undefined) {
        quarantine ??= await openAtomic(quarantinePath);
        await quarantine.write(`${JSON.stringify({ file, line, reason, raw })}\n`);
      }
    }
    await quarantine?.commit();
  } catch (error) {
    await quarantine?.abort();
    throw error;
  }
  // A file left by an earlier run would speak of rows that are no longer bad.
  if (quarantinePath !== undefined && bad.length === 0) await rm(quarantinePath, { force: true });
  const total = rows.length + bad.length;
  if (total === 0) throw new DataError('Expected at least one row, the file holds none.', { file });
  if (bad.length / total > maxBadRowShare)
    throw tooManyBadRows(file, bad, total, maxBadRowShare, quarantinePath);
  return { rows, bad, total };
}

function checkedRow<Row>(
  { line, bytes, tooLong }: RawRow,
  parse: RowParser<Row>,
  maxRowBytes: number,
): CheckedRow<Row> {
  let raw = '';
  try {
    raw = bytes.toString('utf8');
    if (tooLong) throw new BadRowError(`the row is longer than ${maxRowBytes} bytes`);
    return { ok: true, line, row: parse(parseJson(decodeUtf8(bytes))) };
  } catch (error) {
    if (!(error instanceof BadRowError)) throw error;
    return { ok: false, line, reason: error.message, raw: raw.slice(0, MAX_QUARANTINED_CHARACTERS) };
  }
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new BadRowError('not valid UTF-8');
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // The engine's message quotes the row's text; the quarantine file holds the row itself.
    const place = /at position (\d+)/.exec((error as Error).message)?.[1];
    throw new BadRowError(
      `not valid JSON${place === undefined ? '' : ` (at character ${Number(place) + 1})`}`,
    );
  }
}

function tooManyBadRows(
  file: string,
  bad: BadRow[],
  total: number,
  limit: number,
  quarantine?: string,
): DataError {
  const counts = new Map<string, { count: number; line: number }>();
  for (const { reason, line } of bad) {
    // Positions and values differ from row to row; the kind of mistake is what the summary is about.
    const kind = reason.replace(/\[\d+\]/g, '[]').replace(/ \(at character \d+\)/, '');
    const seen = counts.get(kind);
    if (seen === undefined) counts.set(kind, { count: 1, line });
    else seen.count++;
  }
  const summary = [...counts]
    .sort((a, b) => b[1].count - a[1].count)
    .slice(0, 5)
    .map(([kind, { count, line }]) => `\n  ${count} x ${kind} (first on line ${line})`)
    .join('');
  const percent = (share: number) => `${Math.round(share * 1000) / 10}%`;
  const where = quarantine === undefined ? '' : `\nThe rows are in ${quarantine}.`;
  return new DataError(
    `${bad.length} of ${total} rows (${percent(bad.length / total)}) cannot be used, the limit is ${percent(limit)}:` +
      `${summary}${counts.size > 5 ? `\n  and ${counts.size - 5} more kinds` : ''}${where}`,
    { file, details: { bad: bad.length, total, limit } },
  );
}
