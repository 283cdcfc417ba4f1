/** Wheels through the user's own pip: its index, mirror, proxy, certificates and credentials are the user's. */

import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RuntimeInstallError } from '../../errors.js';
import { lastLines, runProgram } from './child-program.js';
import type { Wheel } from './pinned-files.js';

/** How to start pip: a program and its first parameters. */
export type PipCommand = readonly [string, ...string[]];

const CANDIDATES: readonly PipCommand[] = [
  ['python3', '-m', 'pip'],
  ['pip3'],
  ['pip'],
  ['python', '-m', 'pip'],
];

/** The first way to start pip that works here, or undefined. */
export async function findPip(): Promise<PipCommand | undefined> {
  for (const candidate of CANDIDATES) {
    const { code } = await runProgram([...candidate, '--version']);
    if (code === 0) return candidate;
  }
  return undefined;
}

/**
 * Downloads a wheel for its own platform (whatever Python runs pip) to `target`.
 *
 * @throws RuntimeInstallError with pip's last words.
 */
export async function downloadByPip(
  pip: PipCommand,
  wheel: Wheel,
  target: string,
  onBytes: (done: number) => void,
): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const work = await mkdtemp(`${target}.pip-`);
  try {
    const { code, errors } = await runProgram([...pip, ...pipArguments(wheel, work)], {
      // pip keeps the file in its temporary folder until it is complete: there we can see it grow.
      environment: { TMPDIR: work },
      onTick: () => void wheelBytes(work).then(onBytes, () => undefined),
    });
    const file = join(work, wheel.file);
    if (code !== 0 || !(await exists(file))) {
      throw new RuntimeInstallError(
        `${pip.join(' ')} could not download ${wheel.project}==${wheel.version} (${wheel.file}):\n${lastLines(errors)}`,
        { details: { project: wheel.project, version: wheel.version, exitCode: code } },
      );
    }
    await rename(file, target);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function pipArguments(wheel: Wheel, folder: string): string[] {
  return ['download', '--progress-bar', 'off', '--quiet', '--dest', folder, ...wheelArguments(wheel)];
}

/** What `pip download` must be told to give exactly this wheel, whatever Python and platform it runs on. */
export function wheelArguments({ project, version, file }: Wheel): string[] {
  // `name-version-python-abi-platform.platform.whl`
  const platforms = file.slice(file.lastIndexOf('-') + 1, -'.whl'.length).split('.');
  return [
    ...['--no-deps', '--only-binary=:all:', '--python-version', '3.11'],
    ...platforms.filter((platform) => platform !== 'any').flatMap((platform) => ['--platform', platform]),
    `${project}==${version}`,
  ];
}

/** Bytes of the wheel on its way: pip's unfinished file, or the finished one. */
async function wheelBytes(folder: string): Promise<number> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.whl'));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  return Math.max(0, ...sizes);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
