/** The analytical engine (DuckDB) with bounded memory: what does not fit goes into a temporary folder. */
import { rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { type DuckDBConnection, DuckDBInstance, type DuckDBResult, type JS } from '@duckdb/node-api';
import { PersonaDpoError } from '../../errors.js';
import { engineFolder } from './engine-folder.js';

export interface EngineOptions {
  /** Bytes with a unit. Default `1GB`. */
  memoryLimit?: string;
  /** Where data goes that memory has no room for; a folder is made in it. Default: the system's. */
  temporaryFolder?: string | null;
  /** Default: all processors. */
  threads?: number | null;
  /** Whether rows keep the order of their file; costs memory. Default true. */
  keepsOrder?: boolean;
  /** Interrupts what is running. */
  signal?: AbortSignal | undefined;
}

export interface Engine {
  readonly connection: DuckDBConnection;
  /** Where the engine puts what memory has no room for; goes with it. */
  readonly folder: string;
  /** Runs statements; returns the number of rows that the last one changed or wrote. */
  run(sql: string): Promise<number>;
  /**
   * Runs statements two at a time, each in a connection of its own: they see files, and no temporary table. After an
   * error none is begun any more.
   */
  runBeside(statements: readonly string[]): Promise<void>;
  /** All rows of a query: for few. */
  all<Row extends Record<string, JS>>(sql: string): Promise<Row[]>;
  /** The rows of a query as they are made. */
  stream(sql: string): Promise<DuckDBResult>;
  close(): Promise<void>;
}

/** Statements that {@link Engine.runBeside} runs at a time. */
export const BESIDE = 2;

/** Opens an engine of its own, which reads nothing from the network; `close` removes its temporary folder. */
export async function openEngine(options: EngineOptions = {}): Promise<Engine> {
  const { memoryLimit = '1GB', threads, keepsOrder = true, signal } = options;
  signal?.throwIfAborted();
  const folder = await engineFolder(options.temporaryFolder ?? tmpdir());
  const { instance, connection } = await connect(folder, {
    memory_limit: memoryLimit,
    threads: String(threads ?? availableParallelism()),
    preserve_insertion_order: String(keepsOrder),
  });
  const beside = new Set<DuckDBConnection>();
  const interrupt = () => {
    for (const each of [connection, ...beside]) each.interrupt();
  };
  signal?.addEventListener('abort', interrupt, { once: true });

  /** What the engine threw, in our words where they say more: an interrupt, a lack of space. */
  async function guarded<Result>(work: () => Promise<Result>): Promise<Result> {
    signal?.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      throw explained(error, folder);
    }
  }

  async function runInOwn(sql: string): Promise<void> {
    const own = await instance.connect();
    beside.add(own);
    try {
      await guarded(() => own.run(sql));
    } finally {
      beside.delete(own);
      own.closeSync();
    }
  }

  /** Takes statement after statement off the list that all takers share. */
  async function runFrom(waiting: string[]): Promise<void> {
    for (let sql = waiting.shift(); sql !== undefined; sql = waiting.shift()) {
      await runInOwn(sql).catch((error: unknown) => {
        waiting.length = 0;
        throw error;
      });
    }
  }

  return {
    connection,
    folder,
    run: (sql) => guarded(async () => (await connection.run(sql)).rowsChanged),
    async runBeside(statements) {
      const waiting = [...statements];
      const takers = Array.from({ length: BESIDE }, () => runFrom(waiting));
      const failed = (await Promise.allSettled(takers)).find((each) => each.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    },
    all: <Row extends Record<string, JS>>(sql: string) =>
      guarded(async () => (await connection.runAndReadAll(sql)).getRowObjectsJS() as Row[]),
    stream: (sql) => guarded(() => connection.stream(sql)),
    async close() {
      signal?.removeEventListener('abort', interrupt);
      connection.closeSync();
      instance.closeSync();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function connect(folder: string, settings: Readonly<Record<string, string>>) {
  try {
    const instance = await DuckDBInstance.create(':memory:', {
      ...settings,
      temp_directory: folder,
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    });
    const connection = await instance.connect();
    await connection.run("SET TimeZone = 'UTC'");
    return { instance, connection };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

function explained(cause: unknown, folder: string): unknown {
  if (!(cause instanceof Error) || cause instanceof PersonaDpoError) return cause;
  if (/Out of Memory|No space left|max_temp_directory_size/i.test(cause.message)) {
    return new PersonaDpoError(
      'ENGINE_MEMORY',
      `There is not enough room for the data: raise memoryLimit, or name a temporaryFolder on a larger disk than ${folder}. (${cause.message.split('\n')[0]})`,
      { cause },
    );
  }
  return cause;
}

/** A text as a literal of SQL. */
export function sqlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A name as an identifier of SQL. */
export function sqlName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
