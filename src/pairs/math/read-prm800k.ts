/** Reads PRM800K's files row by row. */
import { streamRows } from '../../data/row-stream.js';
import { type Prm800kRow, prm800kRowSchema } from './prm800k-row.js';

/** The longest row of the published files has a few hundred thousand bytes. */
const MAX_ROW_BYTES = 16 * 1024 * 1024;

/** A row, or why it can't be used. */
export type ReadPrm800kRow = {
  file: string;
  /** 1-based line that the row begins on. */
  line: number;
} & ({ row: Prm800kRow; problem?: undefined } | { row?: undefined; problem: string });

/**
 * The rows of a JSONL file or JSON array, gzipped or not, in order, good and bad; memory is bounded by one row.
 *
 * @throws DataError when the file cannot be read
 */
export async function* readPrm800k(file: string): AsyncGenerator<ReadPrm800kRow> {
  for await (const { line, bytes, tooLong } of streamRows(file, MAX_ROW_BYTES)) {
    yield { file, line, ...(tooLong ? tooLongRow() : parseRow(bytes)) };
  }
}

function tooLongRow(): { problem: string } {
  return { problem: `the row is longer than ${MAX_ROW_BYTES} bytes` };
}

function parseRow(bytes: Buffer): { row: Prm800kRow } | { problem: string } {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    return { problem: error instanceof SyntaxError ? 'not valid JSON' : 'not valid UTF-8' };
  }
  const parsed = prm800kRowSchema.safeParse(value);
  if (parsed.success) return { row: parsed.data };
  const [issue] = parsed.error.issues;
  const place = issue?.path.join('.') ?? '';
  return { problem: `not a row of PRM800K: ${place === '' ? '' : `${place}: `}${issue?.message}` };
}
