/** The one eager context of a process: which devices it has, and where work goes. */

import { ConfigError, OpError, RuntimeInstallError } from '../errors.js';
import { locateTensorflow, quietTensorflow } from './install/location.js';
import { type NumericsOptions, setNumerics } from './numerics.js';
import { Status } from './status.js';
import type { TensorflowFunctions } from './tensorflow-functions.js';
import { loadTensorflow } from './tensorflow-library.js';

export type DeviceChoice = 'auto' | 'cpu' | 'cuda';

/** How TensorFlow is started. */
export interface RuntimeOptions extends NumericsOptions {
  /** Where tensors live and ops run: `cuda` is the first GPU, `auto` a GPU if there is one. Default `auto`. */
  device?: DeviceChoice;
  /** Threads an op may use. Default: all cores. */
  threads?: number;
  /**
   * Number of virtual CPU devices. With 2, the second plays the accelerator (everything is placed on `CPU:1`),
   * which is how placement is tested without a GPU. Default 1.
   */
  virtualCpuDevices?: number;
  /** Folder of TensorFlow's libraries. Default: where `persona-dpo setup` put them. */
  directory?: string;
}

/** A device that TensorFlow sees. */
export interface DeviceInfo {
  /** TensorFlow's name, e.g. `/job:localhost/replica:0/task:0/device:CPU:0`. */
  name: string;
  /** `CPU`, `GPU`, ... */
  type: string;
  memoryBytes: number;
}

export interface Runtime {
  readonly functions: TensorflowFunctions;
  readonly version: string;
  readonly directory: string;
  /** The eager context's address. */
  readonly context: number;
  readonly status: Status;
  readonly devices: readonly DeviceInfo[];
  /** Name of the device that tensors are placed on. */
  readonly device: string;
  /** Name of the device where host tensors lie. */
  readonly host: string;
  /** Whether `device` is where a freshly made host tensor already lies. */
  readonly onHost: boolean;
  readonly options: Required<Omit<RuntimeOptions, 'directory'>>;
}

let current: Runtime | undefined;

/**
 * Starts TensorFlow with `options`, or returns the running one when they ask for nothing else. There is one
 * context per process.
 *
 * @throws RuntimeInstallError when TensorFlow is missing; ConfigError when it already runs with other options,
 * or `cuda` is asked for and no GPU is visible.
 */
export function startRuntime(options: RuntimeOptions = {}): Runtime {
  if (current !== undefined) {
    refuseOtherOptions(current, options);
    return current;
  }
  const directory = options.directory ?? locateTensorflow();
  if (directory === undefined) {
    throw new RuntimeInstallError('TensorFlow is not installed; run `npx persona-dpo setup`');
  }
  quietTensorflow();
  const library = loadTensorflow(directory);
  const settings = {
    device: options.device ?? 'auto',
    threads: options.threads ?? 0,
    virtualCpuDevices: options.virtualCpuDevices ?? 1,
    tf32: options.tf32 ?? false,
    deterministic: options.deterministic ?? true,
  };
  const { functions } = library;
  const status = new Status(functions);
  const context = newContext(functions, status, settings);
  const devices = listDevices(functions, status, context);
  const device = chooseDevice(devices, settings);
  // A GPU may come before it in the list.
  const host = (devices.find(({ type }) => type === 'CPU') as DeviceInfo).name;
  if (host !== device) setNumerics(library, settings);
  current = {
    functions,
    version: library.version,
    directory: library.directory,
    context,
    status,
    devices,
    device,
    host,
    onHost: device === host,
    options: settings,
  };
  return current;
}

/** The running context, started with defaults if nothing has started it. */
export function runtime(): Runtime {
  return current ?? startRuntime();
}

/** Whether the runtime's device is a GPU. */
export function runsOnGpu(): boolean {
  return deviceType(runtime()) === 'cuda';
}

/** The memory of the GPU that the runtime works on; null on a processor. */
export function gpuMemoryBytes(): number | null {
  const { device, devices } = runtime();
  const chosen = devices.find(({ name }) => name === device);
  return chosen?.type === 'GPU' ? chosen.memoryBytes : null;
}

function refuseOtherOptions(running: Runtime, options: RuntimeOptions): void {
  const differs =
    (options.device !== undefined && options.device !== 'auto' && deviceType(running) !== options.device) ||
    (options.threads !== undefined && options.threads !== running.options.threads) ||
    (options.virtualCpuDevices !== undefined &&
      options.virtualCpuDevices !== running.options.virtualCpuDevices) ||
    (options.tf32 !== undefined && options.tf32 !== running.options.tf32) ||
    (options.deterministic !== undefined && options.deterministic !== running.options.deterministic);
  if (differs) {
    throw new ConfigError(
      `TensorFlow already runs in this process on ${running.device} with other options; start it once, before loading a model`,
      { details: { running: running.options, asked: options } },
    );
  }
}

function deviceType(running: Runtime): DeviceChoice {
  return running.device.includes('GPU') ? 'cuda' : 'cpu';
}

function newContext(f: TensorflowFunctions, status: Status, settings: Runtime['options']): number {
  const contextOptions = f.TFE_NewContextOptions();
  try {
    const config = configProto(settings);
    f.TFE_ContextOptionsSetConfig(contextOptions, config, config.length, status.handle);
    status.check(({ message }) => new OpError(`TensorFlow refused its configuration: ${message}`));
    const context = f.TFE_NewContext(contextOptions, status.handle);
    status.check(({ message }) => new RuntimeInstallError(`TensorFlow did not start: ${message}`));
    return context;
  } finally {
    f.TFE_DeleteContextOptions(contextOptions);
  }
}

/**
 * A ConfigProto (tensorflow/core/protobuf/config.proto) in wire format: device_count {"CPU": n} (field 1), and
 * {"GPU": 0} where none is wanted, without which TensorFlow would work there unasked;
 * intra_op_parallelism_threads (field 2), gpu_options.allow_growth (field 6.4), so that TensorFlow leaves the
 * card's memory to others until it needs it.
 */
function configProto({ device, threads, virtualCpuDevices }: Runtime['options']): Uint8Array {
  const count = (type: string, devices: number) => [
    0x0a,
    0x07,
    0x0a,
    0x03,
    ...Buffer.from(type),
    0x10,
    devices,
  ];
  const counts = [...count('CPU', virtualCpuDevices), ...(device === 'cpu' ? count('GPU', 0) : [])];
  const threadField = threads > 0 ? [0x10, threads] : [];
  return Uint8Array.from([...counts, ...threadField, 0x32, 0x02, 0x20, 0x01]);
}

function listDevices(f: TensorflowFunctions, status: Status, context: number): DeviceInfo[] {
  const list = f.TFE_ContextListDevices(context, status.handle);
  status.check(({ message }) => new OpError(`TensorFlow's devices cannot be listed: ${message}`));
  try {
    return Array.from({ length: f.TF_DeviceListCount(list) }, (_, i) => ({
      name: f.TF_DeviceListName(list, i, status.handle),
      type: f.TF_DeviceListType(list, i, status.handle),
      memoryBytes: Number(f.TF_DeviceListMemoryBytes(list, i, status.handle)),
    }));
  } finally {
    f.TF_DeleteDeviceList(list);
  }
}

function chooseDevice(
  devices: readonly DeviceInfo[],
  { device, virtualCpuDevices }: { device: DeviceChoice; virtualCpuDevices: number },
): string {
  const gpu = devices.find(({ type }) => type === 'GPU');
  if (device === 'cuda' && gpu === undefined) {
    throw new ConfigError(
      'device is cuda but TensorFlow sees no GPU; `npx persona-dpo doctor` says what is missing',
      { details: { devices: devices.map(({ name }) => name) } },
    );
  }
  if (gpu !== undefined && device !== 'cpu') return gpu.name;
  const cpus = devices.filter(({ type }) => type === 'CPU');
  return (cpus[virtualCpuDevices > 1 ? 1 : 0] as DeviceInfo).name;
}
