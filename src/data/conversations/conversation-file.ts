/** Our own file of conversations: Parquet, in the order in which the stages want them. */
import { stat } from 'node:fs/promises';
import { DataError } from '../../errors.js';
import { placeFileAtomic } from '../atomic-write.js';
import type { ConversationTurn, SplitConversation, SplitSide } from '../conversation.js';
import { type Engine, openEngine, sqlText } from './engine.js';

/** Type of a conversation's messages in the engine. */
export const TURNS_TYPE =
  'STRUCT("role" VARCHAR, "content" VARCHAR, "language" VARCHAR, "time" TIMESTAMPTZ, toxic BOOLEAN, redacted BOOLEAN)[]';

/** Columns of the file with their types, in its order. */
export const FILE_COLUMNS = {
  id: 'VARCHAR',
  user: 'VARCHAR',
  side: 'VARCHAR',
  held_out: 'BOOLEAN',
  model: 'VARCHAR',
  language: 'VARCHAR',
  time: 'TIMESTAMPTZ',
  toxic: 'BOOLEAN',
  redacted: 'BOOLEAN',
  turns: TURNS_TYPE,
} as const;

/** How the file is written. Small row groups, of which each thread holds one, keep memory low. */
export const FILE_FORMAT = 'FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 4096';

export interface ReadConversationsOptions {
  side?: SplitSide;
  /** Only those held out, or only those not held out. */
  heldOut?: boolean;
  /** Only of these users. */
  users?: readonly string[];
  signal?: AbortSignal;
}

/**
 * The conversations of a file of {@link writeConversations} or `ingestConversations` in its order, as fast as they
 * are taken: memory is bounded by what the engine reads ahead.
 *
 * @throws DataError when there is no such file, or it is of another kind
 */
export async function* readConversations(
  path: string,
  { side, heldOut, users, signal }: ReadConversationsOptions = {},
): AsyncGenerator<SplitConversation> {
  const conditions = [
    ...(side === undefined ? [] : [`side = ${sqlText(side)}`]),
    ...(heldOut === undefined ? [] : [`held_out = ${heldOut}`]),
    ...(users === undefined
      ? []
      : [users.length === 0 ? 'false' : `"user" IN (${users.map(sqlText).join(', ')})`]),
  ];
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  const engine = await openEngine({ memoryLimit: '512MB', threads: 2, signal });
  try {
    await checkFile(engine, path);
    const columns = Object.keys(FILE_COLUMNS).map((name) => `"${name}"`);
    const result = await engine.stream(
      `SELECT ${columns.join(', ')} FROM read_parquet(${sqlText(path)})${where}`,
    );
    for await (const rows of result.yieldRowObjectJs()) {
      signal?.throwIfAborted();
      for (const row of rows) yield conversationOf(row as unknown as FileRow);
    }
  } finally {
    await engine.close();
  }
}

/** What the engine makes of a row of the file. */
interface FileRow {
  id: string;
  user: string;
  side: SplitSide;
  held_out: boolean;
  model: string | null;
  language: string | null;
  time: Date | null;
  toxic: boolean | null;
  redacted: boolean | null;
  turns: {
    role: ConversationTurn['role'];
    content: string;
    language: string | null;
    time: Date | null;
    toxic: boolean | null;
    redacted: boolean | null;
  }[];
}

function conversationOf(row: FileRow): SplitConversation {
  const { id, user, side, held_out: heldOut, model, turns } = row;
  return {
    ...{ id, user, side, heldOut },
    ...(model === null ? {} : { model }),
    ...annotations(row),
    turns: turns.map((turn) => ({ role: turn.role, content: turn.content, ...annotations(turn) })),
  };
}

/** What the source says, without what it does not. */
function annotations({
  language,
  time,
  toxic,
  redacted,
}: Omit<FileRow['turns'][number], 'role' | 'content'>) {
  return {
    ...(language === null ? {} : { language }),
    ...(time === null ? {} : { time: time.toISOString() }),
    ...(toxic === null ? {} : { toxic }),
    ...(redacted === null ? {} : { redacted }),
  };
}

async function checkFile(engine: Engine, path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) throw new DataError('There is no such file of conversations.', { file: path });
  let names: string[];
  try {
    const described = await engine.all<{ column_name: string }>(
      `DESCRIBE FROM read_parquet(${sqlText(path)})`,
    );
    names = described.map(({ column_name: name }) => name);
  } catch (cause) {
    throw new DataError(
      'It cannot be read as Parquet; expected a file that ingesting or reconstructing conversations wrote.',
      { file: path, cause },
    );
  }
  const missing = Object.keys(FILE_COLUMNS).filter((name) => !names.includes(name));
  if (missing.length > 0) {
    throw new DataError(
      `Expected conversations after filters and split, but there is no column ${missing.join(', ')}: raw logs are ingested first.`,
      { file: path },
    );
  }
}

/**
 * Writes conversations as {@link readConversations} reads them, in the order in which they come, atomically; returns
 * how many.
 *
 * @throws what `conversations` throws; the file is then as it was before
 */
export async function writeConversations(
  path: string,
  conversations: Iterable<SplitConversation> | AsyncIterable<SplitConversation>,
): Promise<number> {
  const engine = await openEngine({ memoryLimit: '512MB' });
  try {
    const columns = Object.keys(FILE_COLUMNS);
    await engine.run(`CREATE TEMP TABLE lines (${columns.map((name) => `"${name}" VARCHAR`).join(', ')})`);
    const appender = await engine.connection.createAppender('lines', undefined, 'temp');
    let count = 0;
    for await (const { heldOut, ...conversation } of conversations) {
      const row: Record<string, unknown> = { ...conversation, held_out: heldOut };
      for (const name of columns) {
        const value = row[name];
        if (value === undefined) appender.appendNull();
        else appender.appendVarchar(name === 'turns' ? engineJson(value) : String(value));
      }
      appender.endRow();
      if (++count % 1024 === 0) appender.flushSync();
    }
    appender.closeSync();
    const cast = Object.entries(FILE_COLUMNS).map(([name, type]) =>
      name === 'turns' ? `${turnsFromJson('turns')} AS turns` : `"${name}"::${type} AS "${name}"`,
    );
    await placeFileAtomic(path, (temporary) =>
      engine.run(`COPY (SELECT ${cast.join(', ')} FROM lines) TO ${sqlText(temporary)} (${FILE_FORMAT})`),
    );
    return count;
  } finally {
    await engine.close();
  }
}

/** JSON that the engine takes: halves of characters, which no UTF-8 can hold, are replaced. */
export function engineJson(value: unknown): string {
  const json = JSON.stringify(value);
  if (!json.includes('\\ud')) return json;
  return JSON.stringify(value, (_key, part) =>
    typeof part === 'string' ? part.replace(/\p{Surrogate}/gu, '\ufffd') : part,
  );
}

/** An expression that reads messages from a column of JSON; a time that cannot be read becomes none. */
function turnsFromJson(column: string): string {
  const fields = ['role', 'content', 'language', 'time', 'toxic', 'redacted'].map(
    (name) => `"${name}":"VARCHAR"`,
  );
  return (
    `list_transform(from_json(${column}, '[{${fields.join(',')}}]'), lambda turn: {'role': turn.role, ` +
    `'content': turn.content, 'language': turn.language, 'time': try_cast(turn.time AS TIMESTAMPTZ), ` +
    `'toxic': try_cast(turn.toxic AS BOOLEAN), 'redacted': try_cast(turn.redacted AS BOOLEAN)})`
  );
}
