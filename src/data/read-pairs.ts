/** Reads preference pairs from a file; rows that cannot be used are counted and set aside, never lost. */
import { parsePairRow } from './pair-formats.js';
import type { PairRow } from './pairs.js';
import { type BadRow, type ReadRowsOptions, readCheckedRows, streamCheckedRows } from './read-rows.js';

export type { BadRow } from './read-rows.js';

export type ReadRow =
  | { ok: true; line: number; pair: PairRow }
  | { ok: false; line: number; reason: string; raw: string };

export type ReadPairsOptions = ReadRowsOptions;

/** What a pairs file holds. */
export interface ReadPairsResult {
  pairs: PairRow[];
  bad: BadRow[];
  /** Rows in the file that are not blank: `pairs.length + bad.length`. */
  total: number;
}

/** The rows of a file one by one, good and bad, in order; memory is bounded by one row. */
export async function* streamPairs(
  file: string,
  options: Pick<ReadPairsOptions, 'maxRowBytes'> = {},
): AsyncGenerator<ReadRow> {
  for await (const read of streamCheckedRows(file, parsePairRow, options)) {
    yield read.ok ? { ok: true, line: read.line, pair: read.row } : read;
  }
}

/**
 * All pairs of a JSONL file or JSON array, gzipped or not, in any of the forms of `parsePairRow`.
 *
 * @throws DataError when the file cannot be read or holds no rows, or when more than `maxBadRowShare` of its
 *   rows are bad; the quarantine file is there all the same
 */
export async function readPairs(file: string, options: ReadPairsOptions = {}): Promise<ReadPairsResult> {
  const { rows, bad, total } = await readCheckedRows(file, parsePairRow, options);
  return { pairs: rows.map(({ row }) => row), bad, total };
}
