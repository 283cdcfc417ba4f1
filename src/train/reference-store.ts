/** Where reference log-probabilities are kept: a file that several processes share (LMDB), or memory. */

import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { open } from 'lmdb';
import { DataError } from '../errors.js';

export interface ReferenceStore {
  /** A copy of the values under `key`; undefined where there are none, or they are damaged. */
  get(key: Uint8Array): Float32Array | undefined;
  /**
   * Keeps all entries or none; when it resolves, they outlive the process. What is there already stays, so that a run
   * reads the same values to its end, whoever else computes them.
   */
  put(entries: readonly (readonly [key: Uint8Array, values: Float32Array])[]): Promise<void>;
  close(): Promise<void>;
}

/** A store that lives as long as the process. */
export function memoryStore(): ReferenceStore {
  const values = new Map<string, Float32Array>();
  const name = (key: Uint8Array) => Buffer.from(key).toString('latin1');
  return {
    get: (key) => values.get(name(key))?.slice(),
    put: async (entries) => {
      for (const [key, each] of entries) values.set(name(key), each.slice());
    },
    close: async () => values.clear(),
  };
}

const FILE = 'reference-logps.lmdb';
/** Before the values lies their CRC-32. */
const CHECKSUM_BYTES = 4;

/**
 * The store in `folder`, made where it is missing. Each value has a checksum, so that what the disk has damaged is
 * computed anew. A file that is no store, or was cut short, is put aside (`.damaged`) and a new one begun.
 *
 * @throws DataError when the folder cannot be used
 */
export function openStore(folder: string): ReferenceStore {
  const path = join(folder, FILE);
  const attempt = <Result>(run: () => Result): Result => {
    try {
      return run();
    } catch (cause) {
      throw unusable(path, cause);
    }
  };
  const db = attempt(() => {
    mkdirSync(folder, { recursive: true });
    if (existsSync(path) && !isWhole(path)) putAside(path);
    return open<Buffer, Uint8Array>({ path, noSubdir: true, encoding: 'binary', keyEncoding: 'binary' });
  });
  return {
    get: (key) => decode(attempt(() => db.get(key))),
    async put(entries) {
      try {
        await db.transaction(() => {
          for (const [key, values] of entries) {
            if (decode(db.get(key)) === undefined) db.put(key, encode(values));
          }
        });
      } catch (cause) {
        throw unusable(path, cause);
      }
    },
    close: () => db.close(),
  };
}

function unusable(path: string, cause: unknown): DataError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new DataError(
    `the store of reference log-probabilities cannot be used: ${reason}. It may be deleted; what is missing is computed anew.`,
    { file: path, cause },
  );
}

function encode(values: Float32Array): Buffer {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  const stored = Buffer.allocUnsafe(CHECKSUM_BYTES + bytes.length);
  stored.writeUInt32LE(crc32(bytes));
  stored.set(bytes, CHECKSUM_BYTES);
  return stored;
}

function decode(stored: Buffer | undefined): Float32Array | undefined {
  if (stored === undefined || stored.length < CHECKSUM_BYTES || stored.length % 4 !== 0) return undefined;
  const bytes = stored.subarray(CHECKSUM_BYTES);
  if (crc32(bytes) !== stored.readUInt32LE()) return undefined;
  return new Float32Array(Uint8Array.from(bytes).buffer);
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
