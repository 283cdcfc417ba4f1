/** A file of keys and values that several processes share (LMDB), guarded against what the disk may do to it. */

import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { open, type RootDatabase } from 'lmdb';
import { DataError } from '../errors.js';

export type LmdbEntry = readonly [key: Uint8Array, value: Uint8Array];

export interface LmdbFile {
  /** A copy of the value under `key`; undefined where there is none, or it is damaged. */
  get(key: Uint8Array): Uint8Array | undefined;
  /** Keeps all entries or none, over what is there; when it resolves, they outlive the process. */
  put(entries: readonly LmdbEntry[]): Promise<void>;
  /** {@link LmdbFile.put}, but leaves values as they are that are there undamaged. */
  add(entries: readonly LmdbEntry[]): Promise<void>;
  /** Every undamaged entry. */
  entries(): Iterable<LmdbEntry>;
  /**
   * Removes entries, and with `thoroughly` writes the file anew, so that nothing of them is left in it: for that no
   * other process may have it open.
   */
  remove(keys: readonly Uint8Array[], thoroughly?: boolean): Promise<void>;
  close(): Promise<void>;
}

export interface LmdbFileOptions {
  /** What the file is, for messages: `the store of reference log-probabilities`. */
  name: string;
  /** What its loss costs, for messages: `what is missing is computed anew`. */
  loss: string;
}

/** Before a value lies its CRC-32. */
const CHECKSUM_BYTES = 4;

/**
 * Opens the file at `path`, made with its folder where it is missing. Each value has a checksum, so that what the disk
 * has damaged counts as missing. A file that is no LMDB file, or was cut short, is put aside (`.damaged`) and a new one
 * begun.
 *
 * @throws DataError when the file cannot be used
 */
export function openLmdbFile(path: string, { name, loss }: LmdbFileOptions): LmdbFile {
  const unusable = (cause: unknown): DataError => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new DataError(`${name} cannot be used: ${reason}. It may be deleted; ${loss}.`, {
      file: path,
      cause,
    });
  };
  const attempt = <Result>(run: () => Result): Result => {
    try {
      return run();
    } catch (cause) {
      throw unusable(cause);
    }
  };
  const attemptAsync = async (run: () => Promise<unknown>): Promise<void> => {
    try {
      await run();
    } catch (cause) {
      throw unusable(cause);
    }
  };
  let db = attempt(() => openWhole(path));
  return {
    get: (key) => decode(attempt(() => db.get(key))),
    put: (entries) =>
      attemptAsync(() =>
        db.transaction(() => {
          for (const [key, value] of entries) db.put(key, encode(value));
        }),
      ),
    add: (entries) =>
      attemptAsync(() =>
        db.transaction(() => {
          for (const [key, value] of entries) {
            if (decode(db.get(key)) === undefined) db.put(key, encode(value));
          }
        }),
      ),
    *entries() {
      for (const { key, value } of attempt(() => db.getRange())) {
        const whole = decode(value);
        if (whole !== undefined) yield [key, whole];
      }
    },
    remove: (keys, thoroughly = false) =>
      attemptAsync(async () => {
        await db.transaction(() => {
          for (const key of keys) db.remove(key);
        });
        if (thoroughly) db = await rewrite(db, path);
      }),
    close: () => db.close(),
  };
}

type Database = RootDatabase<Buffer, Uint8Array>;

function openWhole(path: string): Database {
  mkdirSync(dirname(path), { recursive: true });
  if (existsSync(path) && !isWhole(path)) putAside(path);
  return openDatabase(path);
}

function openDatabase(path: string): Database {
  return open<Buffer, Uint8Array>({ path, noSubdir: true, encoding: 'binary', keyEncoding: 'binary' });
}

/** LMDB leaves what was removed on its free pages until they are used again; a compact copy has none. */
async function rewrite(db: Database, path: string): Promise<Database> {
  const copy = `${path}.compact`;
  rmSync(copy, { force: true });
  await db.backup(copy, true);
  await db.close();
  rmSync(`${path}-lock`, { force: true });
  renameSync(copy, path);
  return openDatabase(path);
}

function encode(value: Uint8Array): Buffer {
  const stored = Buffer.allocUnsafe(CHECKSUM_BYTES + value.length);
  stored.writeUInt32LE(crc32(value));
  stored.set(value, CHECKSUM_BYTES);
  return stored;
}

function decode(stored: Buffer | undefined): Uint8Array | undefined {
  if (stored === undefined || stored.length < CHECKSUM_BYTES) return undefined;
  const bytes = stored.subarray(CHECKSUM_BYTES);
  return crc32(bytes) === stored.readUInt32LE() ? Uint8Array.from(bytes) : undefined;
}

/**
 * LMDB maps its file into memory and believes what it says, so that one which is something else, or shorter than it
 * says, ends the process. Both of its meta pages (lmdb-js' mdb.c, MDB_page_header and MDB_meta, 64-bit): magic
 * number at byte 24, page size at 48, last page in use at 144.
 */
function isWhole(path: string): boolean {
  const MAGIC = 0xbeefc0de;
  const descriptor = openSync(path, 'r');
  try {
    const { size } = fstatSync(descriptor);
    const metaAt = (position: number) => {
      const meta = Buffer.alloc(152);
      const whole = readSync(descriptor, meta, 0, meta.length, position) === meta.length;
      if (!whole || meta.readUInt32LE(24) !== MAGIC) return undefined;
      return { pageSize: meta.readUInt32LE(48), lastPage: Number(meta.readBigUInt64LE(144)) };
    };
    const first = metaAt(0);
    const second = first && metaAt(first.pageSize);
    if (first === undefined || second === undefined) return false;
    return Math.max(first.lastPage, second.lastPage) < size / first.pageSize;
  } finally {
    closeSync(descriptor);
  }
}

function putAside(path: string): void {
  rmSync(`${path}-lock`, { force: true });
  renameSync(path, `${path}.damaged`);
}
