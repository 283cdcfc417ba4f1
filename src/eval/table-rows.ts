/** Rows of the files in which benchmarks are published: JSON lines, JSON lists, CSV and Parquet. */
import { extname } from 'node:path';
import type { z } from 'zod';
import { openEngine, sqlText } from '../data/conversations/engine.js';
import { streamRows } from '../data/row-stream.js';
import { DataError } from '../errors.js';

/** A row with its place: the line of a JSON file, the number of a row of a table. */
export interface TableRow {
  row: number;
  value: unknown;
}

const MAX_ROW_BYTES = 64 * 1024 * 1024;

/**
 * The rows of a file in order; CSV and Parquet by the ending of its name, anything else as JSON lines or a JSON list,
 * gzipped or not.
 *
 * @throws DataError for a file that can't be read, and a line that is no JSON, with its place
 */
export async function* tableRows(file: string): AsyncGenerator<TableRow, void, void> {
  const ending = extname(file).toLowerCase();
  if (ending === '.csv' || ending === '.parquet') yield* engineRows(file, ending);
  else yield* jsonRows(file);
}

/**
 * The rows of a file, checked.
 *
 * @param expected What a row is, for the error: `a row of GPQA (Question, Correct Answer, ...)`
 * @throws DataError that names file, row and what is wrong with it
 */
export async function* checkedRows<Row>(
  file: string,
  schema: z.ZodType<Row>,
  expected: string,
): AsyncGenerator<{ row: number; value: Row }, void, void> {
  for await (const { row, value } of tableRows(file)) {
    const parsed = schema.safeParse(value);
    if (!parsed.success) {
      const { path = [], message = '' } = parsed.error.issues[0] ?? {};
      const place = path.length === 0 ? '' : `${path.join('.')}: `;
      throw new DataError(`expected ${expected}: ${place}${message}`, { file, row });
    }
    yield { row, value: parsed.data };
  }
}

async function* jsonRows(file: string): AsyncGenerator<TableRow, void, void> {
  for await (const { line, bytes, tooLong } of streamRows(file, MAX_ROW_BYTES)) {
    if (tooLong) throw new DataError(`the row is longer than ${MAX_ROW_BYTES} bytes`, { file, row: line });
    let value: unknown;
    try {
      value = JSON.parse(bytes.toString('utf8'));
    } catch (cause) {
      throw new DataError('expected a row of JSON', { file, row: line, cause });
    }
    yield { row: line, value };
  }
}

async function* engineRows(file: string, ending: '.csv' | '.parquet'): AsyncGenerator<TableRow, void, void> {
  const source =
    ending === '.csv'
      ? `read_csv(${sqlText(file)}, header = true, all_varchar = true, strict_mode = false)`
      : `read_parquet(${sqlText(file)})`;
  const engine = await openEngine({ threads: 1 });
  try {
    const result = await engine.stream(`SELECT * FROM ${source}`);
    let row = 0;
    for await (const rows of result.yieldRowObjectJson()) {
      for (const value of rows) yield { row: ++row, value };
    }
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    const [reason] = (cause as Error).message.split('\n');
    throw new DataError(`it cannot be read as ${ending.slice(1)} (${reason})`, { file, cause });
  } finally {
    await engine.close();
  }
}
