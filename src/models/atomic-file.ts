import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { CheckpointError } from '../errors.js';
import { reasonOf } from './file-reading.js';

/** Takes bytes in order; may be called any number of times. */
export type ByteSink = (bytes: Uint8Array) => void;

/** A file written in full beside its place, waiting to take it. */
export interface PendingFile {
  readonly path: string;
  /** Puts the file in its place: from now on readers see the new one, whole. */
  commit(): void;
  /** Removes what was written; the old file, if there was one, stays. */
  discard(): void;
}

/**
 * Writes a file beside `path` (same folder, so that the rename is atomic), flushed to the disk, and leaves
 * the renaming to the caller, who may have several files that belong together. What fails leaves nothing behind.
 */
export function writePending(path: string, write: (sink: ByteSink) => void): PendingFile {
  const beside = join(
    dirname(path),
    `.${basename(path)}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`,
  );
  const discard = () => rmSync(beside, { force: true });
  try {
    const descriptor = openSync(beside, 'wx');
    try {
      write((bytes) => writeAll(descriptor, bytes));
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch (cause) {
    discard();
    if (cause instanceof CheckpointError) throw cause;
    throw new CheckpointError(`${path} cannot be written: ${reasonOf(cause)}.`, { details: { path }, cause });
  }
  return {
    path,
    discard,
    commit() {
      try {
        renameSync(beside, path);
        syncFolder(dirname(path));
      } catch (cause) {
        discard();
        throw new CheckpointError(`${path} cannot be replaced: ${reasonOf(cause)}.`, {
          details: { path },
          cause,
        });
      }
    },
  };
}

/** Writes a file so that readers see the old one or the new one, never a part. */
export function writeFileAtomically(path: string, content: string | Uint8Array): void {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  writePending(path, (sink) => sink(bytes)).commit();
}

/** One write call may take less than it is given, and at most 2 GiB. */
const WRITE_CHUNK_BYTES = 256 * 2 ** 20;

function writeAll(descriptor: number, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.byteLength) {
    done += writeSync(descriptor, bytes, done, Math.min(WRITE_CHUNK_BYTES, bytes.byteLength - done));
  }
}

/** Makes the rename itself survive a power cut; where folders can't be opened, there is nothing to do. */
function syncFolder(folder: string): void {
  let descriptor: number;
  try {
    descriptor = openSync(folder, 'r');
  } catch {
    return;
  }
  try {
    fsyncSync(descriptor);
  } catch {
    // some file systems refuse to sync a folder; the files themselves are synced
  } finally {
    closeSync(descriptor);
  }
}
