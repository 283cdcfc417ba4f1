import { existsSync, readdirSync } from 'node:fs';
import { defaultHubCacheDir, hubOptionsFromEnvironment } from '../models/hub-options.js';
import { packageVersion } from '../run/package-version.js';
import { type MachineReport, machineReport, measureMatmulRate } from '../runtime/device-report.js';
import { installHome, locateSmolLm2 } from '../runtime/install/location.js';
import { hasNvidiaDriver } from '../runtime/install/nvidia-driver.js';
import { locateTfjsNodeGpu } from '../runtime/install/tfjs-node-gpu.js';
import { type OnnxProvider, onnxProviders } from '../runtime/onnx-providers.js';
import { startRuntime } from '../runtime/runtime.js';

export interface Problem {
  message: string;
  /** The command that mends it. */
  remedy: string | null;
  stopsTraining: boolean;
}

/** What `doctor` found; with `--json` this very object. */
export interface Diagnosis {
  canTrain: boolean;
  versions: { package: string; node: string; platform: string };
  machine: MachineReport;
  tensorflow: { version: string; directory: string } | null;
  devices: { name: string; type: string; memoryBytes: number; used: boolean }[];
  /** Operations a second of large matrix products on the device in use. */
  rates: { float32: number | null; bfloat16: number | null };
  tfjsKernels: string | null;
  onnx: { version: string; providers: OnnxProvider[] } | null;
  models: { home: string; smollm2: string | null; hubCache: string; hubModels: string[]; offline: boolean };
  problems: Problem[];
}

/** Looks at everything that training needs. Never throws for what is missing: it becomes a problem. */
export async function diagnose(): Promise<Diagnosis> {
  const problems: Problem[] = [];
  const attempt = <T>(work: () => T, problem: (reason: string) => Problem): T | null => {
    try {
      return work();
    } catch (error) {
      problems.push(problem(error instanceof Error ? error.message : String(error)));
      return null;
    }
  };
  const setup = 'npx persona-dpo setup';
  const running = attempt(
    () => startRuntime(),
    (reason) => ({ message: reason, remedy: setup, stopsTraining: true }),
  );
  const rate = (dtype: 'float32' | 'bfloat16') =>
    running === null
      ? null
      : attempt(
          () => measureMatmulRate(dtype),
          (reason) => ({
            message: `${dtype} does not work: ${reason}`,
            remedy: null,
            stopsTraining: dtype === 'float32',
          }),
        );
  const rates = { float32: rate('float32'), bfloat16: rate('bfloat16') };
  const devices = (running?.devices ?? []).map((device) => ({
    ...device,
    used: device.name === running?.device,
  }));
  if (running !== null && hasNvidiaDriver() && !devices.some(({ type }) => type === 'GPU')) {
    problems.push({
      message:
        'There is an NVIDIA driver, but TensorFlow sees no GPU: its CPU build is installed, or the driver is too old.',
      remedy: `${setup} --device cuda`,
      stopsTraining: false,
    });
  }
  const tfjsKernels = locateTfjsNodeGpu() ?? null;
  if (tfjsKernels === null) {
    problems.push({
      message: "tfjs-node-gpu's kernels are missing, without which no model is loaded.",
      remedy: setup,
      stopsTraining: true,
    });
  }
  return {
    versions: {
      package: packageVersion(),
      node: process.versions.node,
      platform: `${process.platform} ${process.arch}`,
    },
    machine: machineReport(),
    tensorflow: running === null ? null : { version: running.version, directory: running.directory },
    devices,
    rates,
    tfjsKernels,
    onnx: await onnxReport(problems),
    models: modelCache(problems),
    problems,
    canTrain: !problems.some(({ stopsTraining }) => stopsTraining),
  };
}

async function onnxReport(problems: Problem[]): Promise<Diagnosis['onnx']> {
  try {
    return await onnxProviders();
  } catch (error) {
    problems.push({
      message: `ONNX Runtime does not load (reward models need it): ${(error as Error).message}`,
      remedy: 'npm install onnxruntime-node',
      stopsTraining: false,
    });
    return null;
  }
}

function modelCache(problems: Problem[]): Diagnosis['models'] {
  const { cacheDir, offline = false } = hubOptionsFromEnvironment(process.env);
  const hubCache = cacheDir ?? defaultHubCacheDir();
  const folders = existsSync(hubCache) ? readdirSync(hubCache) : [];
  const hubModels = folders
    .filter((name) => name.startsWith('models--'))
    .map((name) => name.slice('models--'.length).replaceAll('--', '/'));
  const smollm2 = locateSmolLm2() ?? null;
  if (smollm2 === null && hubModels.length === 0) {
    problems.push({
      message:
        'No model is in the caches yet; training fetches one from the Hugging Face Hub when it needs it.',
      remedy: 'npx persona-dpo setup --model',
      stopsTraining: false,
    });
  }
  return { home: installHome(), smollm2, hubCache, hubModels, offline };
}
