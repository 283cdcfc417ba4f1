import { mkdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { RuntimeInstallError } from '../../errors.js';
import { type ObtainOptions, obtainFile, removeDownloads } from './obtain-file.js';
import type { Wheel } from './pinned-files.js';
import { placeFolder } from './placed-folder.js';
import type { OnProgress } from './progress.js';
import { unzip } from './unzip.js';

/** What a folder is to hold, out of which wheels. */
export interface WheelContent {
  wheels: readonly Wheel[];
  /** Where in the folder a file of a wheel goes; undefined leaves it out. */
  place: (path: string) => string | undefined;
  /** Files that must have come, relative to the folder. */
  required: readonly string[];
  /** About how many bytes the unpacked files take. */
  unpackedBytes: number;
}

export interface PlaceWheelsOptions extends ObtainOptions {
  force?: boolean | undefined;
}

/**
 * Makes `folder` out of wheels, whole or not at all; downloads are kept until then, so that a second try goes on
 * where the first was interrupted, and removed after.
 *
 * @returns whether this call placed it; false where it was there already.
 * @throws RuntimeInstallError when a wheel cannot be had, the disk is too small, or a required file did not come.
 */
export async function placeWheels(
  folder: string,
  { wheels, place, required, unpackedBytes }: WheelContent,
  { force, ...obtaining }: PlaceWheelsOptions,
): Promise<boolean> {
  const { source, downloads, onProgress } = obtaining;
  const fill = async (empty: string) => {
    await checkSpace(empty, { wheels, unpackedBytes, isOffline: source.from !== undefined });
    for (const [index, wheel] of wheels.entries()) {
      const numbered = withNumber(onProgress, index + 1, wheels.length);
      const archive = await obtainFile(wheel, { ...obtaining, onProgress: numbered });
      const onBytes = (done: number, total: number) =>
        numbered({ phase: 'unpack', label: wheel.file, done, total });
      await unzip(archive, empty, { place, onBytes });
    }
    await checkRequired(empty, required);
  };
  const onWait = () => onProgress({ phase: 'wait', label: folder, done: 0, total: 0 });
  const placed = await placeFolder(folder, fill, { force, onWait });
  if (placed) await removeDownloads(wheels, downloads);
  return placed;
}

function withNumber(onProgress: OnProgress, number: number, count: number): OnProgress {
  if (count === 1) return onProgress;
  return ({ label, ...rest }) => onProgress({ ...rest, label: `${label} (${number} of ${count})` });
}

async function checkSpace(
  folder: string,
  {
    wheels,
    unpackedBytes,
    isOffline,
  }: { wheels: readonly Wheel[]; unpackedBytes: number; isOffline: boolean },
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const downloaded = isOffline ? 0 : wheels.reduce((sum, { bytes }) => sum + bytes, 0);
  const needed = downloaded + unpackedBytes;
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize < needed) {
    throw new RuntimeInstallError(
      `The disk of ${folder} has ${gigabytes(bavail * bsize)} free, and about ${gigabytes(needed)} are needed. ` +
        'PERSONA_DPO_HOME can name a folder on another disk.',
      { details: { needed, available: bavail * bsize } },
    );
  }
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

async function checkRequired(folder: string, required: readonly string[]): Promise<void> {
  for (const path of required) {
    await stat(join(folder, path)).catch((cause: unknown) => {
      throw new RuntimeInstallError(`The wheels hold no ${path}, which is needed.`, { cause });
    });
  }
}
