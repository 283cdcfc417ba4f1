/**
 * Files that are either whole or not there: written beside their place under another name, flushed to the
 * disk, then renamed over it. A reader, or a run that starts after a crash, never sees half a file.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** A file being written. It appears under its name at `commit`; after `abort`, or a crash, it never does. */
export interface AtomicFile {
  readonly path: string;
  write(chunk: string | Uint8Array): Promise<void>;
  commit(): Promise<void>;
  /** Removes what was written so far; does nothing after `commit`. */
  abort(): Promise<void>;
}

/** Opens `path` for atomic writing; makes its folder where it is missing. */
export async function openAtomic(path: string): Promise<AtomicFile> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  const temporary = temporaryName(path);
  let handle: FileHandle | undefined = await open(temporary, 'wx');

  async function close(): Promise<void> {
    const open = handle;
    handle = undefined;
    await open?.close();
  }

  async function abort(): Promise<void> {
    if (handle === undefined) return;
    await close();
    await rm(temporary, { force: true });
  }

  return {
    path,
    async write(chunk) {
      if (handle === undefined) throw new Error(`${path} is already closed.`);
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      for (let offset = 0; offset < bytes.byteLength; ) {
        offset += (await handle.write(bytes, offset)).bytesWritten;
      }
    },
    async commit() {
      if (handle === undefined) throw new Error(`${path} is already closed.`);
      try {
        await handle.sync();
        await close();
        await rename(temporary, path);
      } catch (error) {
        await close();
        await rm(temporary, { force: true });
        throw error;
      }
      await syncFolder(folder);
    },
    abort,
  };
}

/** Writes the chunks as the whole content of `path`, atomically. */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array | Iterable<string | Uint8Array>,
): Promise<void> {
  const file = await openAtomic(path);
  try {
    const chunks = typeof content === 'string' || content instanceof Uint8Array ? [content] : content;
    for (const chunk of chunks) await file.write(chunk);
  } catch (error) {
    await file.abort();
    throw error;
  }
  await file.commit();
}

/**
 * Puts a file in its place that `write` makes under the name it is given: for programs and libraries that write files
 * themselves. Makes the folder where it is missing.
 *
 * @throws what `write` throws; nothing is left behind then, and the file is as it was before
 */
export async function placeFileAtomic<Result>(
  path: string,
  write: (temporary: string) => Promise<Result>,
): Promise<Result> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  const temporary = temporaryName(path);
  try {
    const result = await write(temporary);
    const handle = await open(temporary, 'r+');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    await syncFolder(folder);
    return result;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

function temporaryName(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`);
}

/** A rename is only safe from a power cut once its folder is on disk; not every system can flush a folder. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'EPERM' && code !== 'EISDIR' && code !== 'EINVAL' && code !== 'EACCES') throw error;
  }
}
