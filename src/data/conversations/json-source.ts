/** JSON rows on their way into the engine: decoded here one by one, checked there some thousands at a time. */
import type { Engine } from './engine.js';
import { columnsFor, type FormatChoice, type FormatColumns, TURN_COLUMNS } from './formats.js';
import type { InputFile } from './input-files.js';
import { hasField, parseJsonRow, type StagedRow, stageJsonRow } from './json-conversation.js';
import { splitJsonRows } from './json-rows.js';
import { readText } from './open-text.js';

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

/** The query over the rows that are staged, in the form that all checks take. */
const STAGED_ROWS = `SELECT row, problem, detail, id, "user", model, language,
  time_of(time) AS time,
  coalesce(time <> '' AND time_of(time) IS NULL, false) AS bad_time,
  try_cast(toxic AS BOOLEAN) AS toxic,
  try_cast(redacted AS BOOLEAN) AS redacted,
  list_transform(
    from_json(turns, '[{"role":"VARCHAR","content":"VARCHAR","language":"VARCHAR","time":"VARCHAR","toxic":"VARCHAR","redacted":"VARCHAR"}]'),
    lambda turn: {'role': role_of(turn.role), 'content': turn.content, 'language': turn.language,
      'time': time_of(turn.time), 'toxic': try_cast(turn.toxic AS BOOLEAN), 'redacted': try_cast(turn.redacted AS BOOLEAN)}
  ) AS turns
  FROM staged_rows`;

/**
 * Reads `file` to its end; hands its rows over to `take` in batches, as a query. The form of the rows is that of the
 * first in which messages are known. Returns how many rows there were.
 *
 * @throws DataError when the file cannot be read, or is damaged or cut short
 */
export async function readJsonFile(
  engine: Engine,
  file: InputFile,
  choice: FormatChoice,
  take: (query: string, rows: number) => Promise<void>,
): Promise<number> {
  const turnColumns = choice.columns.turns === undefined ? TURN_COLUMNS : [choice.columns.turns];
  const chunks = readText(engine, file, MAX_ROW_BYTES);
  let columns: FormatColumns | undefined;
  let count = 0;
  let batch: StagedRow[] = [];
  let characters = 0;
  const hand = async () => {
    if (batch.length === 0) return;
    await stage(engine, batch);
    await take(STAGED_ROWS, batch.length);
    batch = [];
    characters = 0;
  };
  for await (const raw of splitJsonRows(file.path, chunks, MAX_ROW_BYTES, turnColumns)) {
    for (const { object, bad } of parseJsonRow(raw, MAX_ROW_BYTES)) {
      if (object !== undefined) columns ??= columnsFor(choice, hasField(object));
      const row = object === undefined ? bad : stageJsonRow(raw.line, object, columns);
      batch.push(row);
      characters += row.turns?.length ?? 0;
      count++;
    }
    if (batch.length >= BATCH_ROWS || characters >= BATCH_CHARACTERS) await hand();
  }
  await hand();
  return count;
}

async function stage(engine: Engine, rows: readonly StagedRow[]): Promise<void> {
  const columns = STAGED_COLUMNS.map((name) => `"${name}" VARCHAR`).join(', ');
  await engine.run(`CREATE OR REPLACE TEMP TABLE staged_rows (row BIGINT, ${columns})`);
  const appender = await engine.connection.createAppender('staged_rows', undefined, 'temp');
  for (const row of rows) {
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
