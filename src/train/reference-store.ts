/** Where reference log-probabilities, and other numbers of pairs, are kept: a file that processes share, or memory. */

import { join } from 'node:path';
import { openLmdbFile } from '../data/lmdb-file.js';

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

const REFERENCE = { file: 'reference-logps.lmdb', name: 'the store of reference log-probabilities' };

export interface StoreKind {
  /** Name of the file in its folder. */
  file: string;
  /** What it is, for messages. */
  name: string;
}

/**
 * The store in `folder`, of reference log-probabilities by default, made where it is missing. What the disk has damaged is computed anew (see `openLmdbFile`).
 *
 * @throws DataError when the folder cannot be used
 */
export function openStore(folder: string, kind: StoreKind = REFERENCE): ReferenceStore {
  const file = openLmdbFile(join(folder, kind.file), {
    name: kind.name,
    loss: 'what is missing is computed anew',
  });
  return {
    get: (key) => decode(file.get(key)),
    put: (entries) => file.add(entries.map(([key, values]) => [key, bytesOf(values)])),
    close: () => file.close(),
  };
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function decode(bytes: Uint8Array | undefined): Float32Array | undefined {
  if (bytes === undefined || bytes.length % Float32Array.BYTES_PER_ELEMENT !== 0) return undefined;
  return new Float32Array(bytes.buffer);
}
