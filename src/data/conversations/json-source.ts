/** JSON rows on their way into the engine: decoded here one by one, checked there some thousands at a time. */
import type { RowSource } from './check-rows.js';
import type { Engine } from './engine.js';
import { columnsFor, type FormatChoice, type FormatColumns, TURN_COLUMNS } from './formats.js';
import type { InputFile } from './input-files.js';
import { hasField, parseJsonRow, type StagedRow, stageJsonRow } from './json-conversation.js';
import { splitJsonRows } from './json-rows.js';
import { TURN_FIELDS } from './message-fields.js';
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

/** The rows that are staged. */
const STAGED_ROWS: RowSource = {
  query: `SELECT number, row, problem, detail, id, "user", model, language,
    time_of(time) AS time,
    coalesce(time <> '' AND time_of(time) IS NULL, false) AS bad_time,
    try_cast(toxic AS BOOLEAN) AS toxic,
    try_cast(redacted AS BOOLEAN) AS redacted,
    from_json(turns, '[{"role":"VARCHAR","content":"VARCHAR","language":"VARCHAR","time":"VARCHAR","toxic":"VARCHAR","redacted":"VARCHAR"}]') AS raw
    FROM staged_rows`,
  message: {
    ...TURN_FIELDS,
    time: `time_of(${TURN_FIELDS.time})`,
    toxic: `try_cast(${TURN_FIELDS.toxic} AS BOOLEAN)`,
    redacted: `try_cast(${TURN_FIELDS.redacted} AS BOOLEAN)`,
  },
};

/**
 * Reads `file` to its end; hands its rows over to `take` in batches. The form of the rows is that of the
 * first in which messages are known. Returns how many rows there were.
 *
 * @throws DataError when the file cannot be read, or is damaged or cut short
 */
export async function readJsonFile(
  engine: Engine,
  file: InputFile,
  choice: FormatChoice,
  take: (source: RowSource, rows: number) => Promise<void>,
): Promise<number> {
  const turnColumns = choice.columns.turns === undefined ? TURN_COLUMNS : [choice.columns.turns];
  const chunks = readText(engine, file, MAX_ROW_BYTES);
  let columns: FormatColumns | undefined;
  let count = 0;
  let batch: StagedRow[] = [];
  let characters = 0;
  const hand = async () => {
    if (batch.length === 0) return;
    await stage(engine, batch, count - batch.length);
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
