import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { CheckpointError } from '../errors.js';

/** Bytes asked of one read call: large enough to cost nothing, below the 2 GiB that one call can give. */
const READ_CHUNK_BYTES = 256 * 2 ** 20;

/** A file open for positioned reads: what is asked for is there in full, or a CheckpointError says what isn't. */
export interface OpenFile {
  readonly path: string;
  readonly size: number;
  /** Fills `target` with the bytes from `position` on. `what` names the part in the error of a short file. */
  readInto(target: Uint8Array, position: number, what: string): void;
  close(): void;
}

/** Opens a regular file for reading; its size is taken once, here. */
export function openForReading(path: string): OpenFile {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (cause) {
    throw new CheckpointError(`${path} cannot be opened: ${reasonOf(cause)}.`, { details: { path }, cause });
  }
  const stats = fstatSync(descriptor);
  if (!stats.isFile()) {
    closeSync(descriptor);
    throw new CheckpointError(`${path} is not a file.`, { details: { path } });
  }
  let open = true;
  return {
    path,
    size: stats.size,
    readInto(target, position, what) {
      if (!open) throw new CheckpointError(`${path} is closed; ${what} cannot be read any more.`);
      let done = 0;
      while (done < target.byteLength) {
        const wanted = Math.min(READ_CHUNK_BYTES, target.byteLength - done);
        let count: number;
        try {
          count = readSync(descriptor, target, done, wanted, position + done);
        } catch (cause) {
          throw new CheckpointError(`${path}: reading ${what} failed: ${reasonOf(cause)}.`, { cause });
        }
        if (count === 0) {
          throw new CheckpointError(
            `${path} ends in the middle of ${what}: ${target.byteLength} bytes from ${position} on were expected, ${done} came.`,
            { details: { path, position, expected: target.byteLength, got: done } },
          );
        }
        done += count;
      }
    },
    close() {
      if (!open) return;
      open = false;
      closeSync(descriptor);
    },
  };
}

/** The system's words for a failure, without the call's arguments. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as NodeJS.ErrnoException).code;
  switch (code) {
    case 'ENOENT':
      return 'no such file or folder';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'ENOSPC':
      return 'the disk is full';
    case 'EDQUOT':
      return 'the disk quota is used up';
    case 'EROFS':
      return 'the file system is read-only';
    default:
      return error.message;
  }
}
