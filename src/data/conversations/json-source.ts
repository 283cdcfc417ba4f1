/** A JSON file as a query: its rows are decoded one by one, and put into Parquet files some thousands at a time. */
import { join } from 'node:path';
import { type Engine, sqlText } from './engine.js';
import { columnsFor, type FormatChoice, type FormatColumns, TURN_COLUMNS } from './formats.js';
import type { InputFile } from './input-files.js';
import { hasField, parseJsonRow, type StagedRow, stageJsonRow } from './json-conversation.js';
import { splitJsonRows } from './json-rows.js';
import { readText } from './open-text.js';
import { type RowSource, TURN_FIELDS } from './row-source.js';

/** Longest row that is decoded, in bytes; a longer one is quarantined unseen. */
const MAX_ROW_BYTES = 64 * 1024 * 1024;
/** What is handed over at once: rows, and characters of their messages. */
const BATCH_ROWS = 20_000;
const BATCH_CHARACTERS = 32 * 1024 * 1024;

const STAGED_COLUMNS = [
  'problem',
  'detail',
  'id',
  'user',
  'model',
  'language',
  'time',
  'toxic',
  'redacted',
  'turns',
] as const satisfies readonly (keyof StagedRow)[];

/** What is staged, in the one form. Roles are told apart later, with those of other sources. */
const STAGED_ROWS = `SELECT number, row, problem, detail, id, "user", model, language,
  time_of(time) AS time,
  coalesce(time <> '' AND time_of(time) IS NULL, false) AS bad_time,
  try_cast(toxic AS BOOLEAN) AS toxic,
  try_cast(redacted AS BOOLEAN) AS redacted,
  list_transform(
    from_json(turns, '[{"role":"VARCHAR","content":"VARCHAR","language":"VARCHAR","time":"VARCHAR","toxic":"VARCHAR","redacted":"VARCHAR"}]'),
    lambda turn: {'role': turn.role, 'content': turn.content, 'language': turn.language, 'time': time_of(turn.time),
      'toxic': try_cast(turn.toxic AS BOOLEAN), 'redacted': try_cast(turn.redacted AS BOOLEAN)}) AS raw
  FROM staged_rows`;

/**
 * Reads a file to its end into the engine's folder. The form of its rows is that of the first in which messages are
 * known.
 *
 * @param onRows hears how many rows have been read
 * @throws DataError when the file cannot be read, or is damaged or cut short
 */
export async function jsonSource(
  engine: Engine,
  file: InputFile,
  index: number,
  choice: FormatChoice,
  onRows: (count: number) => void,
): Promise<{ source: RowSource; rows: number }> {
  const turnColumns = choice.columns.turns === undefined ? TURN_COLUMNS : [choice.columns.turns];
  const chunks = readText(engine, file, MAX_ROW_BYTES);
  const batches: string[] = [];
  let columns: FormatColumns | undefined;
  let rows = 0;
  let batch: StagedRow[] = [];
  let characters = 0;
  const put = async () => {
    const path = join(engine.folder, `rows-${index}-${batches.length}.parquet`);
    await stage(engine, batch, rows - batch.length);
    await engine.run(`COPY (${STAGED_ROWS}) TO ${sqlText(path)} (FORMAT parquet, ROW_GROUP_SIZE 2048)`);
    batches.push(path);
    batch = [];
    characters = 0;
    onRows(rows);
  };
  for await (const raw of splitJsonRows(file.path, chunks, MAX_ROW_BYTES, turnColumns)) {
    for (const { object, bad } of parseJsonRow(raw, MAX_ROW_BYTES)) {
      if (object !== undefined) columns ??= columnsFor(choice, hasField(object));
      const row = object === undefined ? bad : stageJsonRow(raw.line, object, columns);
      batch.push(row);
      characters += row.turns?.length ?? 0;
      rows++;
    }
    if (batch.length >= BATCH_ROWS || characters >= BATCH_CHARACTERS) await put();
  }
  // An empty file has an empty batch: a source without rows.
  if (batch.length > 0 || batches.length === 0) await put();
  const query = `SELECT * FROM read_parquet([${batches.map(sqlText).join(', ')}])`;
  return { source: { query, message: TURN_FIELDS }, rows };
}

/** `before` rows of the file are already there. */
async function stage(engine: Engine, rows: readonly StagedRow[], before: number): Promise<void> {
  const columns = STAGED_COLUMNS.map((name) => `"${name}" VARCHAR`).join(', ');
  await engine.run(`CREATE OR REPLACE TEMP TABLE staged_rows (number BIGINT, row BIGINT, ${columns})`);
  const appender = await engine.connection.createAppender('staged_rows', undefined, 'temp');
  for (const [index, row] of rows.entries()) {
    appender.appendBigInt(BigInt(before + index + 1));
    appender.appendBigInt(BigInt(row.row));
    for (const name of STAGED_COLUMNS) {
      const value = row[name];
      if (value === undefined) appender.appendNull();
      else appender.appendVarchar(value);
    }
    appender.endRow();
  }
  appender.closeSync();
}
