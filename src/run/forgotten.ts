/** Users who are not to come back: known by a salted hash, so that the list itself names nobody. */

import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { writeFileAtomic } from '../data/atomic-write.js';
import { DataError } from '../errors.js';

const forgottenSchema = z.object({ salt: z.string().min(1), users: z.array(z.string()) });

export class Forgotten {
  readonly #path: string;
  readonly #salt: string;
  readonly #users: Set<string>;

  private constructor(path: string, salt: string, users: readonly string[]) {
    this.#path = path;
    this.#salt = salt;
    this.#users = new Set(users);
  }

  /**
   * The list in a file; empty where there is none.
   *
   * @throws DataError when the file is something else: users would come back
   */
  static read(path: string): Forgotten {
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return new Forgotten(path, randomBytes(16).toString('hex'), []);
    }
    try {
      const { salt, users } = forgottenSchema.parse(JSON.parse(text));
      return new Forgotten(path, salt, users);
    } catch (cause) {
      throw new DataError('expected the list of forgotten users; without it they would come back', {
        file: path,
        cause,
      });
    }
  }

  get size(): number {
    return this.#users.size;
  }

  has(user: string): boolean {
    return this.#users.size > 0 && this.#users.has(this.#hash(user));
  }

  /** Puts a user on the list, and the list on disk. */
  async add(user: string): Promise<void> {
    this.#users.add(this.#hash(user));
    const content = { salt: this.#salt, users: [...this.#users] };
    await writeFileAtomic(this.#path, `${JSON.stringify(content, null, 2)}\n`);
  }

  #hash(user: string): string {
    return createHash('sha256').update(this.#salt).update('\0').update(user).digest('hex');
  }
}
