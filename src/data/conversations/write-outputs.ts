/** Files of ingesting, written by the engine: conversations in order, and a line for each thing left out. */
import { join } from 'node:path';
import { placeFileAtomic } from '../atomic-write.js';
import { FILE_COLUMNS, FILE_FORMAT } from './conversation-file.js';
import { BESIDE, type Engine, sqlText } from './engine.js';
import { PLACES_OF_FILE, type RowSource } from './row-source.js';
import { CONVERSATION_ORDER } from './split.js';
import { textsOf } from './texts.js';

/** Share of the engine's memory that one slice may take: a sort wants all of it in memory, and room beside it. */
const SLICE_SHARE = 0.25 / BESIDE;
/** What a conversation takes in the sort beside its texts, in bytes, about. */
const ROW_BYTES = 500;
/** Rows that a thread collects before it writes to the files of the slices: some ten megabytes. */
const COLLECTED_ROWS = 4096;

/**
 * Writes what is in `kept`, by user and time, and beside it the users of the pool alone; `path` appears last. Texts are
 * first distributed over files of consecutive users, each of which can be sorted in memory; those are sorted, two at a
 * time, and then copied one after the other. Returns how many conversations there are.
 */
export async function writeConversationFiles(
  engine: Engine,
  sources: readonly RowSource[],
  path: string,
  evaluationPath: string,
): Promise<number> {
  const query = await sortedTexts(engine, sources, await sliceUsers(engine));
  return placeFileAtomic(path, async (temporary) => {
    const written = await copy(engine, query, temporary, FILE_FORMAT);
    const pool = `SELECT * FROM read_parquet(${sqlText(temporary)}) WHERE "user" IN (SELECT "user" FROM sides WHERE pooled)`;
    await placeFileAtomic(evaluationPath, (beside) => copy(engine, pool, beside, FILE_FORMAT));
    return written;
  });
}

/** Makes the table `slices` (user, slice) of consecutive users with about as much text as can be sorted at once; their numbers. */
async function sliceUsers(engine: Engine): Promise<number[]> {
  const [setting] = await engine.all<{ bytes: bigint }>(
    "SELECT parse_formatted_bytes(value)::BIGINT AS bytes FROM duckdb_settings() WHERE name = 'memory_limit'",
  );
  const limit = Number(setting?.bytes ?? 0n);
  await engine.run(`CREATE TEMP TABLE slices AS
    SELECT "user", ((sum(bytes) OVER (ORDER BY "user") - 1) // ${Math.ceil(limit * SLICE_SHARE)})::INTEGER AS slice
    FROM (SELECT kept."user", sum(bytes + ${ROW_BYTES}) AS bytes FROM kept JOIN rows USING (place) GROUP BY kept."user")`);
  const found = await engine.all<{ slice: number }>('SELECT DISTINCT slice FROM slices ORDER BY slice');
  return found.map(({ slice }) => slice);
}

/** Writes a file for each slice, sorted; returns the query over them in order. */
async function sortedTexts(
  engine: Engine,
  sources: readonly RowSource[],
  slices: readonly number[],
): Promise<string> {
  const keys =
    'SELECT kept.*, plain, slice FROM kept JOIN rows USING (place) JOIN slices ON slices."user" = kept."user"';
  const texts = textsOf(sources, keys);
  // Nothing is left: an empty file of the right columns.
  if (slices.length === 0) return sorted(texts);
  const unsorted = await distribute(engine, texts);
  // From here on rows must stay in their order.
  await engine.run('SET preserve_insertion_order = true');
  const files = slices.map((slice) => sqlText(join(engine.folder, `sorted-${slice}.parquet`)));
  await engine.runBeside(
    slices.map((slice, i) => `COPY (${sorted(unsorted(slice))}) TO ${files[i]} (${SLICE_FORMAT})`),
  );
  return `SELECT * FROM read_parquet([${files.join(', ')}])`;
}

/** How slices are written: they are read once, and soon. */
const SLICE_FORMAT = 'FORMAT parquet, ROW_GROUP_SIZE 2048, COMPRESSION lz4';

/** Writes a folder of files for each slice; returns the query over that of a slice. */
async function distribute(engine: Engine, texts: string): Promise<(slice: number) => string> {
  const folder = join(engine.folder, 'slices');
  await engine.run(`SET partitioned_write_flush_threshold = ${COLLECTED_ROWS}`);
  await copy(engine, texts, folder, `${SLICE_FORMAT}, PARTITION_BY (slice)`);
  const files = (slice: number) => sqlText(join(folder, `slice=${slice}`, '*.parquet'));
  return (slice) => `SELECT * FROM read_parquet(${files(slice)}, hive_partitioning = false)`;
}

function sorted(query: string): string {
  const columns = Object.keys(FILE_COLUMNS).map((name) => `"${name}"`);
  return `SELECT ${columns.join(', ')} FROM (${query}) ORDER BY "user", ${CONVERSATION_ORDER}`;
}

/** Writes the rows that could not be used: `id` (or file and row without one), `reason`, `detail`, `file`, `row`. */
export async function writeQuarantine(engine: Engine, path: string): Promise<number> {
  return copyRows(
    engine,
    path,
    ['id', 'reason', 'detail', 'file', 'row'],
    `SELECT coalesce(nullif(id, ''), concat(path, ':', row)) AS id, problem AS reason, detail, path AS file, row
     FROM (
       SELECT place, row, id, problem, detail FROM rows WHERE problem IS NOT NULL
       UNION ALL
       SELECT place, row, id, 'duplicate-id', 'an earlier row has the same id' FROM rows SEMI JOIN repeated_ids USING (place))
     JOIN files ON file = place // ${PLACES_OF_FILE} ORDER BY place`,
  );
}

/** Writes the conversations that a filter dropped: `id`, `reason`, `user` where it is known, `file`, `row`. */
export async function writeDropped(engine: Engine, path: string): Promise<number> {
  return copyRows(
    engine,
    path,
    ['id', 'reason', 'user', 'file', 'row'],
    `SELECT id, reason, "user", path AS file, row
     FROM (
       SELECT place, row, id, filtered AS reason, "user" FROM rows ANTI JOIN repeated_ids USING (place)
       WHERE problem IS NULL AND filtered IS NOT NULL
       UNION ALL
       SELECT place, row, id, reason, "user" FROM drops JOIN rows USING (place))
     JOIN files ON file = place // ${PLACES_OF_FILE} ORDER BY place`,
  );
}

/**
 * Writes rows as JSON lines in which a column without a value has no key. The engine's own JSON writer puts null there;
 * a merge patch leaves it out, and since JSON escapes every control character, its text can be written as a column of
 * plain text.
 */
function copyRows(engine: Engine, path: string, columns: readonly string[], query: string): Promise<number> {
  const row = columns.map((name) => `'${name}': "${name}"`).join(', ');
  const lines = `SELECT json_merge_patch('{}', to_json({${row}})) FROM (${query})`;
  const format = "FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x1f'";
  return placeFileAtomic(path, (temporary) => copy(engine, lines, temporary, format));
}

function copy(engine: Engine, query: string, path: string, format: string): Promise<number> {
  return engine.run(`COPY (${query}) TO ${sqlText(path)} (${format})`);
}
