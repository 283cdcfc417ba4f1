/**
 * A folder that is there whole or not at all: it is filled under another name beside its place, gets a list of its
 * files, and is renamed. An interrupted or damaged one is told by that list.
 */

import { readFileSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { withProcessLock } from './process-lock.js';

const LIST = 'installed.json';

interface Installed {
  files: { path: string; bytes: number }[];
}

export interface PlaceOptions {
  /** Place it anew where it is there already. Default false. */
  force?: boolean | undefined;
  /** Called when another process is placing the same folder. */
  onWait?: (() => void) | undefined;
}

/** Whether `folder` was placed, and every file of it is still there with its size. */
export function isWhole(folder: string): boolean {
  try {
    const { files } = JSON.parse(readFileSync(join(folder, LIST), 'utf8')) as Installed;
    return files.length > 0 && files.every(({ path, bytes }) => statSync(join(folder, path)).size === bytes);
  } catch {
    return false;
  }
}

/**
 * Makes `folder` by calling `fill` with an empty folder beside it. One process at a time: a second one waits and
 * then finds it done. Nothing is left behind when `fill` throws.
 *
 * @returns whether this call placed it; false where it was whole already.
 */
export async function placeFolder(
  folder: string,
  fill: (empty: string) => Promise<void>,
  { force = false, onWait }: PlaceOptions = {},
): Promise<boolean> {
  if (!force && isWhole(folder)) return false;
  await mkdir(dirname(folder), { recursive: true });
  return withProcessLock(
    `${folder}.lock`,
    async () => {
      if (!force && isWhole(folder)) return false;
      await removeLeftovers(folder);
      const building = await mkdtemp(`${folder}.building-`);
      try {
        await fill(building);
        await writeFile(join(building, LIST), JSON.stringify(await listFiles(building), null, 1));
        await replace(building, folder);
      } finally {
        await rm(building, { recursive: true, force: true });
      }
      return true;
    },
    { onWait },
  );
}

/** What a killed process left: only the holder of the lock builds, so all of it is dead. */
async function removeLeftovers(folder: string): Promise<void> {
  const names = await readdir(dirname(folder));
  const leftovers = names.filter((name) => name.startsWith(`${basename(folder)}.building-`));
  for (const name of leftovers) await rm(join(dirname(folder), name), { recursive: true, force: true });
}

async function replace(building: string, folder: string): Promise<void> {
  // A program that has the old libraries loaded keeps them: their files live until it ends.
  const old = `${building}.old`;
  const hadOne = await rename(folder, old).then(
    () => true,
    () => false,
  );
  await rename(building, folder);
  if (hadOne) await rm(old, { recursive: true, force: true });
}

async function listFiles(folder: string): Promise<Installed> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const files = await Promise.all(
    paths.sort().map(async (path) => ({ path: relative(folder, path), bytes: (await stat(path)).size })),
  );
  return { files };
}
