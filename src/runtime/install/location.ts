/**
 * Where what `persona-dpo setup` fetches lies, and where the user says it lies. This is the one file outside
 * the command line that reads the environment: a program that only imports the library must find TensorFlow too.
 */

import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { RuntimeInstallError } from '../../errors.js';
import { hasNvidiaDriver } from './nvidia-driver.js';
import { buildName, type Device, modelFile, modelName, TENSORFLOW_VERSION } from './pinned-files.js';
import { isWhole } from './placed-folder.js';

export interface LocateOptions {
  /** Folder that holds everything `setup` fetched. Default: {@link installHome}. */
  home?: string | undefined;
}

export interface LocateTensorflowOptions extends LocateOptions {
  /** A folder with TensorFlow's libraries to use instead. Default: `PERSONA_DPO_TENSORFLOW_DIR`. */
  override?: string | undefined;
  /** Default `auto`: the CUDA build where an NVIDIA driver is present, else the CPU build, else the other one. */
  device?: Device | 'auto' | undefined;
}

/** `PERSONA_DPO_HOME`, else `persona-dpo` in the user's cache folder; absolute. */
export function installHome(): string {
  const { PERSONA_DPO_HOME, XDG_CACHE_HOME } = process.env;
  if (PERSONA_DPO_HOME) return resolve(PERSONA_DPO_HOME);
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'persona-dpo');
  return join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'persona-dpo');
}

/** The package index named by pip's own variable, if any. */
export function configuredIndexUrl(): string | undefined {
  return process.env.PIP_INDEX_URL || undefined;
}

/** `PERSONA_DPO_TENSORFLOW_DIR`: a folder with TensorFlow's libraries that the user got elsewhere. */
export function namedTensorflowFolder(): string | undefined {
  return process.env.PERSONA_DPO_TENSORFLOW_DIR || undefined;
}

/**
 * Keeps TensorFlow from writing notes about processors and threads to standard error. Warnings and errors come
 * through; a user who has set `TF_CPP_MIN_LOG_LEVEL` decides. Takes effect only before TensorFlow is loaded.
 */
export function quietTensorflow(): void {
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '1';
}

/** The environment of a program we start, with some variables set anew. */
export function childEnvironment(changes: Record<string, string>): NodeJS.ProcessEnv {
  return { ...process.env, ...changes };
}

/**
 * The folder that holds `libtensorflow_cc` and `libtensorflow_framework`, or undefined when nothing is installed.
 *
 * @throws RuntimeInstallError when the folder that the user names (`override`) does not hold the libraries.
 */
export function locateTensorflow({
  home = installHome(),
  override = namedTensorflowFolder(),
  device = 'auto',
}: LocateTensorflowOptions = {}): string | undefined {
  if (override !== undefined) return checkedFolder(override);
  const preferred: Device[] =
    device === 'auto' ? (hasNvidiaDriver() ? ['cuda', 'cpu'] : ['cpu', 'cuda']) : [device];
  const whole = preferred.map((each) => tensorflowFolder(home, each)).find(isWhole);
  return whole && join(whole, 'tensorflow');
}

/** Where `setup` puts a TensorFlow build: a folder with `tensorflow/` and, for CUDA, `nvidia/` beside it. */
export function tensorflowFolder(home: string, device: Device): string {
  return join(home, 'tensorflow', buildName({ device }));
}

/** The GGUF file of SmolLM2-135M-Instruct, or undefined when it was not fetched. */
export function locateSmolLm2({ home = installHome() }: LocateOptions = {}): string | undefined {
  const folder = modelFolder(home);
  return isWhole(folder) ? join(folder, modelFile) : undefined;
}

export function modelFolder(home: string): string {
  return join(home, 'models', modelName);
}

/** The names of TensorFlow's two libraries on this platform, in the order in which they must be loaded. */
export function tensorflowLibraryNames(platform: NodeJS.Platform = process.platform): [string, string] {
  return platform === 'darwin'
    ? ['libtensorflow_framework.2.dylib', 'libtensorflow_cc.2.dylib']
    : ['libtensorflow_framework.so.2', 'libtensorflow_cc.so.2'];
}

function checkedFolder(override: string): string {
  // A folder like site-packages is accepted as well as the `tensorflow` folder in it.
  const candidates = [override, join(override, 'tensorflow')];
  const found = candidates.find((folder) =>
    tensorflowLibraryNames().every((name) => existsSync(join(folder, name))),
  );
  if (found === undefined) {
    throw new RuntimeInstallError(
      `PERSONA_DPO_TENSORFLOW_DIR names ${override}, which does not hold ${tensorflowLibraryNames().join(' and ')} ` +
        `of TensorFlow ${TENSORFLOW_VERSION}; unset it and run \`npx persona-dpo setup\`, or name another folder.`,
      { details: { override } },
    );
  }
  return found;
}
