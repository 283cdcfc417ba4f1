/** Packages of the npm registry as plain files: no install script runs, nothing is linked. */

import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseTarGzip } from 'nanotar';
import { RuntimeInstallError } from '../../errors.js';
import { lastLines, runProgram } from './child-program.js';
import type { Tarball } from './pinned-files.js';

/**
 * Downloads a package's tarball to `target` through the user's npm, with its registry, proxy and credentials.
 *
 * @throws RuntimeInstallError with npm's last words.
 */
export async function downloadByNpm({ project, version, file }: Tarball, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const work = await mkdtemp(`${target}.npm-`);
  try {
    const parameters = [
      'pack',
      `${project}@${version}`,
      '--pack-destination',
      work,
      '--ignore-scripts',
      '--silent',
    ];
    const { code, errors } = await runProgram([npmCommand(), ...parameters]);
    if (code === undefined) {
      throw new RuntimeInstallError(
        `npm was not found, and ${project}@${version} comes through it. Put npm on the PATH, or fetch ${file} ` +
          'elsewhere (`npm pack`) and name its folder: `persona-dpo setup --from FOLDER`.',
      );
    }
    if (code !== 0) {
      throw new RuntimeInstallError(`npm could not download ${project}@${version}:\n${lastLines(errors)}`, {
        details: { project, version, exitCode: code },
      });
    }
    await rename(join(work, file), target);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function npmCommand(): string {
  return process.platform === 'win32' ? 'npm.cmd' : 'npm';
}

/** Unpacks the files of a package's tarball that `select` wants (paths without the leading `package/`). */
export async function unpackTarball(
  tarball: string,
  folder: string,
  select: (path: string) => boolean,
): Promise<void> {
  for (const { name, type, data } of await parseTarGzip(await readFile(tarball))) {
    const path = name.slice(name.indexOf('/') + 1);
    if (type !== 'file' || data === undefined || path.split('/').includes('..') || !select(path)) continue;
    const target = join(folder, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, data);
  }
}
