/** The state folder: a file for each user, which names nobody by its own name. */

import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../../data/atomic-write.js';
import { ConfigError, DataError } from '../../errors.js';
import { withProcessLock } from '../../runtime/install/process-lock.js';
import { type UserRecord, userRecordSchema } from './user-record.js';

const folderSchema = z.object({ kind: z.literal('persona-dpo users'), salt: z.string().min(16) });

/** Records of users, each in a file of its own that is whole or not there. */
export class UserFiles {
  readonly folder: string;
  readonly #salt: string;
  readonly #unlock: () => Promise<void>;

  private constructor(folder: string, salt: string, unlock: () => Promise<void>) {
    this.folder = folder;
    this.#salt = salt;
    this.#unlock = unlock;
  }

  /**
   * Opens a state folder; makes it where it is missing, readable by its owner alone.
   *
   * @throws ConfigError when it cannot be made, or another server has it; DataError when it holds something else
   */
  static async open(folder: string): Promise<UserFiles> {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw new ConfigError(`The state folder ${folder} cannot be made: ${(cause as Error).message}`, {
        cause,
      });
    }
    const unlock = await lock(folder);
    try {
      return new UserFiles(folder, await saltOf(folder), unlock);
    } catch (error) {
      await unlock();
      throw error;
    }
  }

  /** Lets another server have the folder. */
  close(): Promise<void> {
    return this.#unlock();
  }

  /** @throws DataError for a file that is damaged, or of another version */
  async read(user: string): Promise<UserRecord | undefined> {
    const file = this.pathOf(user);
    let text: string;
    try {
      text = await readFile(file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    const parsed = userRecordSchema.safeParse(jsonOf(text));
    if (!parsed.success) throw new DataError('expected what a server keeps of a user', { file });
    return parsed.data;
  }

  async write(user: string, record: UserRecord): Promise<void> {
    await writeFileAtomic(this.pathOf(user), `${JSON.stringify(record)}\n`);
  }

  /** A salted hash, so that no name can lead elsewhere, and the folder's listing tells no names. */
  pathOf(user: string): string {
    const name = createHash('sha256').update(this.#salt).update('\0').update(user).digest('hex');
    return join(this.folder, 'users', name.slice(0, 2), `${name}.json`);
  }
}

async function saltOf(folder: string): Promise<string> {
  const path = join(folder, 'folder.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const salt = randomBytes(16).toString('hex');
    await writeFileAtomic(path, `${JSON.stringify({ kind: 'persona-dpo users', salt })}\n`);
    return salt;
  }
  const parsed = folderSchema.safeParse(jsonOf(text));
  // With another salt none of the users would be found, and the forgotten ones would come back.
  if (!parsed.success) throw new DataError('expected the state folder of a server', { file: path });
  return parsed.data.salt;
}

/** Takes the folder for this process; what comes back gives it free again. */
async function lock(folder: string): Promise<() => Promise<void>> {
  let free = () => {};
  const used = new Promise<void>((resolve) => (free = resolve));
  let done = Promise.resolve();
  await new Promise<void>((resolve, reject) => {
    const work = async () => {
      resolve();
      await used;
    };
    done = withProcessLock(join(folder, 'lock'), work, {
      refuse: ({ pid }) =>
        new ConfigError(
          `The state folder ${folder} is in use by another server (process ${pid ?? 'unknown'}).`,
        ),
    });
    done.catch(reject);
  });
  return () => {
    free();
    return done;
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
