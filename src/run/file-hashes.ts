/** SHA-256 of files, remembered by size and time of change, so that gigabytes of logs are hashed once. */

import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../data/atomic-write.js';
import { DataError } from '../errors.js';

const rememberedSchema = z.record(
  z.string(),
  z.object({ size: z.number(), modified: z.string(), sha256: z.string() }),
);
type Remembered = z.output<typeof rememberedSchema>;

const READ_BYTES = 4 * 2 ** 20;

export class FileHashes {
  readonly #memory: string | null;
  readonly #known: Remembered;
  #changed = false;

  /** `memory` is the file in which hashes are remembered; null: nowhere. */
  constructor(memory: string | null) {
    this.#memory = memory;
    this.#known = memory === null ? {} : read(memory);
  }

  /** @throws DataError when there is no such file, or it cannot be read */
  async sha256(path: string): Promise<string> {
    const key = resolve(path);
    const state = stateOf(path);
    const known = this.#known[key];
    if (known !== undefined && known.size === state.size && known.modified === state.modified) {
      return known.sha256;
    }
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES })) hash.update(chunk);
    return this.#keep(key, { ...state, sha256: hash.digest('hex') });
  }

  /** Takes over a hash that was computed while the file was written. */
  know(path: string, sha256: string): void {
    this.#keep(resolve(path), { ...stateOf(path), sha256 });
  }

  #keep(key: string, entry: Remembered[string]): string {
    this.#known[key] = entry;
    this.#changed = true;
    return entry.sha256;
  }

  /** Writes down what was learnt. */
  async save(): Promise<void> {
    if (this.#memory === null || !this.#changed) return;
    await writeFileAtomic(this.#memory, `${JSON.stringify(this.#known)}\n`);
    this.#changed = false;
  }
}

function read(path: string): Remembered {
  try {
    return rememberedSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return {}; // Nothing is lost but the time to hash again.
  }
}

function stateOf(path: string): { size: number; modified: string } {
  try {
    const { size, mtimeNs } = statSync(path, { bigint: true });
    return { size: Number(size), modified: String(mtimeNs) };
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new DataError(missing ? 'there is no such file' : `cannot be read: ${(cause as Error).message}`, {
      file: path,
      cause,
    });
  }
}
