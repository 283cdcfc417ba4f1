/** tfjs' 'tensorflow' backend: the kernels of `@tensorflow/tfjs-node-gpu` on this runtime. */

import { createRequire } from 'node:module';
import { join } from 'node:path';
import util from 'node:util';
import type { KernelBackend, Tensor as TfTensor } from '@tensorflow/tfjs';
import { ConfigError, OpError, RuntimeInstallError } from '../../errors.js';
import { type RuntimeOptions, startRuntime } from '../runtime.js';
import { createBinding, type TfjsBinding } from './binding.js';
import { tf } from './tf.js';

const BACKEND = 'tensorflow';
/** tfjs-node's own. tfjs' CPU backend has 1: where nobody sets a backend, this one is taken. */
const PRIORITY = 3;

/** What we use of tfjs-node-gpu's NodeJSKernelBackend. */
export interface KernelsBackend extends KernelBackend {
  /** What lies behind each of tfjs' data ids. */
  readonly tensorMap: {
    set(
      dataId: object,
      info: { shape: number[]; dtype: number; id: number; values: null; refCount: number },
    ): void;
  };
  /** The binding's numbers of tensors, which are written first where tfjs has put that off. */
  getInputTensorIds(tensors: readonly TfTensor[]): number[];
}

interface ActiveBackend {
  readonly backend: KernelsBackend;
  readonly binding: TfjsBinding;
}

let active: ActiveBackend | undefined;

/**
 * Starts TensorFlow (see {@link startRuntime} for `options` and errors) and makes it tfjs' backend: every
 * `tf.Tensor` made from here on lives in TensorFlow's memory, and `tf` runs on its kernels. Also lets tfjs load
 * and save models at `file://` addresses. A second call only makes the backend current again.
 *
 * @throws RuntimeInstallError when TensorFlow or the kernels are not installed; ConfigError when tfjs already has
 * a 'tensorflow' backend that is not this package's.
 */
export async function useTensorflowBackend(options: RuntimeOptions = {}): Promise<void> {
  const { locateTfjsNodeGpu, TFJS_SYMBOL } = await import('../install/tfjs-node-gpu.js');
  startRuntime(options);
  if (active === undefined) {
    if (tf.findBackend(BACKEND) != null) {
      throw new ConfigError(
        `tfjs already has a '${BACKEND}' backend from elsewhere; import persona-dpo instead of tfjs-node`,
      );
    }
    const folder = locateTfjsNodeGpu();
    if (folder === undefined) {
      throw new RuntimeInstallError(
        'the kernels of @tensorflow/tfjs-node-gpu are not installed; run `npx persona-dpo setup`',
      );
    }
    Reflect.set(globalThis, TFJS_SYMBOL, tf);
    active = loadBackend(folder);
  }
  await tf.setBackend(BACKEND);
}

/** The backend and its binding. Throws OpError before {@link useTensorflowBackend}. */
export function tensorflowBackend(): ActiveBackend {
  if (active === undefined) {
    throw new OpError('tfjs does not run on TensorFlow yet; call `await useTensorflowBackend()` first');
  }
  return active;
}

function loadBackend(folder: string): ActiveBackend {
  restoreUtil();
  const load = createRequire(import.meta.url);
  const { NodeJSKernelBackend } = load(join(folder, 'dist', 'nodejs_kernel_backend.js')) as {
    NodeJSKernelBackend: new (binding: TfjsBinding, packageName: string) => KernelsBackend;
  };
  const { nodeFileSystemRouter } = load(join(folder, 'dist', 'io', 'file_system.js')) as {
    nodeFileSystemRouter: Parameters<typeof tf.io.registerLoadRouter>[0] &
      Parameters<typeof tf.io.registerSaveRouter>[0];
  };
  load(join(folder, 'dist', 'register_all_kernels.js'));
  const binding = createBinding();
  const backend = new NodeJSKernelBackend(binding, '@tensorflow/tfjs-node-gpu');
  tf.registerBackend(BACKEND, () => backend, PRIORITY);
  tf.io.registerLoadRouter(nodeFileSystemRouter);
  tf.io.registerSaveRouter(nodeFileSystemRouter);
  return { backend, binding };
}

/** tfjs-node 4.22 calls two functions of node:util that Node 23 removed. */
function restoreUtil(): void {
  const legacy = util as unknown as Record<string, unknown>;
  legacy.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  legacy.isArray ??= Array.isArray;
}
