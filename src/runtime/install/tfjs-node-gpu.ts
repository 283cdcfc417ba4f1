/**
 * The JavaScript kernels of `@tensorflow/tfjs-node-gpu`. The package's own install script fails (it fetches a library
 * from a bucket that no longer answers), so it cannot be a plain dependency: `setup` places its files, and only those.
 */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { installHome, type LocateOptions } from './location.js';
import { unpackTarball } from './npm-package.js';
import { type ObtainOptions, obtainFile, removeDownloads } from './obtain-file.js';
import { googleProtobufTarball, TFJS_NODE_GPU_VERSION, tfjsNodeGpuTarball } from './pinned-files.js';
import { isWhole, placeFolder } from './placed-folder.js';

/**
 * The key on `globalThis` under which the loader of the placed kernels puts the tfjs module they shall use. They then
 * run on the copy that persona-dpo and the user imported, and no second engine comes to be.
 */
export const TFJS_SYMBOL = Symbol.for('persona-dpo.tfjs');

const TFJS_STAND_IN = `'use strict';
// The kernels beside this file use the copy of tfjs that the program has loaded.
const tfjs = globalThis[Symbol.for('persona-dpo.tfjs')];
if (tfjs === undefined) throw new Error('these kernels are loaded by persona-dpo, which gives them its tfjs');
module.exports = tfjs;
`;

/** What `setup` fetches for it. */
export const kernelTarballs = [tfjsNodeGpuTarball, googleProtobufTarball] as const;

/** Where `setup` places the package. */
export function tfjsNodeGpuFolder(home: string): string {
  return join(home, 'tfjs-node-gpu', TFJS_NODE_GPU_VERSION);
}

/**
 * The folder of `@tensorflow/tfjs-node-gpu`: the package as installed in the user's project or beside this one,
 * where it uses the same copy of tfjs as we do, else what `setup` placed; undefined when there is neither.
 */
export function locateTfjsNodeGpu({ home = installHome() }: LocateOptions = {}): string | undefined {
  const placed = tfjsNodeGpuFolder(home);
  return installedPeer() ?? (isWhole(placed) ? placed : undefined);
}

function installedPeer(): string | undefined {
  const ours = createRequire(import.meta.url);
  const manifest =
    resolveOrUndefined(ours, `${tfjsNodeGpuTarball.project}/package.json`) ??
    resolveOrUndefined(
      createRequire(join(process.cwd(), 'index.js')),
      `${tfjsNodeGpuTarball.project}/package.json`,
    );
  if (manifest === undefined) return undefined;
  const { version } = ours(manifest) as { version: string };
  const theirTfjs = resolveOrUndefined(createRequire(manifest), '@tensorflow/tfjs');
  const isUsable = version === TFJS_NODE_GPU_VERSION && theirTfjs === ours.resolve('@tensorflow/tfjs');
  return isUsable ? dirname(manifest) : undefined;
}

function resolveOrUndefined(require: NodeJS.Require, name: string): string | undefined {
  try {
    return require.resolve(name);
  } catch {
    return undefined;
  }
}

/** Places the package's JavaScript with what it needs; false where it was there already. */
export async function placeTfjsNodeGpu(
  home: string,
  { force, ...obtaining }: ObtainOptions & { force?: boolean | undefined },
): Promise<boolean> {
  const target = tfjsNodeGpuFolder(home);
  const fill = async (folder: string) => {
    await unpackTarball(await obtainFile(tfjsNodeGpuTarball, obtaining), folder, isKernelCode);
    const protobuf = join(folder, 'node_modules', googleProtobufTarball.project);
    await unpackTarball(await obtainFile(googleProtobufTarball, obtaining), protobuf, (path) =>
      ['package.json', 'google-protobuf.js'].includes(path),
    );
    await writeStandIns(folder);
  };
  const onWait = () => obtaining.onProgress({ phase: 'wait', label: target, done: 0, total: 0 });
  const placed = await placeFolder(target, fill, { force, onWait });
  if (placed) await removeDownloads(kernelTarballs, obtaining.downloads);
  return placed;
}

/** The package's programs, without its types and its own tests. */
function isKernelCode(path: string): boolean {
  return path === 'package.json' || (/^dist\/.*\.js$/.test(path) && !/(_test|\/run_tests)\.js$/.test(path));
}

/** Most kernels import tfjs, one imports its core, whose names tfjs has all. */
async function writeStandIns(folder: string): Promise<void> {
  const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string };
  for (const name of ['@tensorflow/tfjs', '@tensorflow/tfjs-core']) {
    const target = join(folder, 'node_modules', ...name.split('/'));
    await mkdir(target, { recursive: true });
    await writeFile(join(target, 'index.js'), TFJS_STAND_IN);
    await writeFile(join(target, 'package.json'), JSON.stringify({ name, version, main: 'index.js' }));
  }
}
