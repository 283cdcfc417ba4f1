import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Entry, openPromise, type ZipFile } from 'yauzl';
import { RuntimeInstallError } from '../../errors.js';

export interface UnzipOptions {
  /** Where in the folder a file of the archive goes; undefined leaves it out. Default: its path in the archive. */
  place?: (path: string) => string | undefined;
  /** Called with the bytes written so far and the bytes to write. */
  onBytes?: (done: number, total: number) => void;
}

/**
 * Unpacks files of a zip archive (a wheel is one) into `folder`, one at a time and as streams. Paths that lead out
 * of the folder are refused.
 *
 * @throws RuntimeInstallError where the archive is damaged or cannot be written to disk.
 */
export async function unzip(
  archive: string,
  folder: string,
  { place = (path) => path, onBytes = () => undefined }: UnzipOptions = {},
): Promise<void> {
  let zip: ZipFile | undefined;
  try {
    zip = await openPromise(archive, { autoClose: false, lazyEntries: true });
    const chosen = await choose(zip, place);
    const total = chosen.reduce((sum, { entry }) => sum + entry.uncompressedSize, 0);
    let done = 0;
    for (const { entry, path } of chosen) {
      await unpackEntry(zip, entry, join(folder, path), (count) => {
        done += count;
        onBytes(done, total);
      });
    }
  } catch (cause) {
    throw new RuntimeInstallError(`${archive} could not be unpacked: ${(cause as Error).message}`, { cause });
  } finally {
    zip?.close();
  }
}

async function choose(
  zip: ZipFile,
  place: (path: string) => string | undefined,
): Promise<{ entry: Entry; path: string }[]> {
  const chosen: { entry: Entry; path: string }[] = [];
  for await (const entry of zip.eachEntry()) {
    const path = entry.fileName.endsWith('/') ? undefined : place(entry.fileName);
    if (path !== undefined) chosen.push({ entry, path });
  }
  return chosen;
}

async function unpackEntry(
  zip: ZipFile,
  entry: Entry,
  target: string,
  onCount: (count: number) => void,
): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  // The upper half of the attributes is a Unix mode where the archive was made on Unix; programs need their x.
  const isProgram = ((entry.externalFileAttributes >>> 16) & 0o111) !== 0;
  const counter = new Transform({
    transform(chunk: Uint8Array, _encoding, next) {
      onCount(chunk.byteLength);
      next(null, chunk);
    },
  });
  const source = await zip.openReadStreamPromise(entry);
  await pipeline(source, counter, createWriteStream(target, { mode: isProgram ? 0o755 : 0o644 }));
}
