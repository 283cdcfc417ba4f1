/** An ONNX Runtime session on the execution provider that is asked for. */

import { ConfigError, PersonaDpoError } from '../errors.js';
import { hasNvidiaDriver } from '../runtime/install/nvidia-driver.js';
import { type OnnxSession, openOnnxSession } from '../runtime/onnx-session.js';

export interface OpenSessionOptions {
  /** `auto`: CUDA where there is a driver for a GPU and the provider starts, else the CPU. */
  executionProvider: 'auto' | 'cpu' | 'cuda';
  threads: number;
}

/** @throws ConfigError when CUDA is asked for and its provider cannot be started */
export async function openSession(
  path: string,
  { executionProvider, threads }: OpenSessionOptions,
): Promise<OnnxSession> {
  const wantsCuda = executionProvider === 'cuda' || (executionProvider === 'auto' && hasNvidiaDriver());
  if (!wantsCuda) return openOnnxSession(path, { executionProvider: 'cpu', threads });
  try {
    return await openOnnxSession(path, { executionProvider: 'cuda', threads });
  } catch (cause) {
    if (!(cause instanceof PersonaDpoError)) throw cause;
    if (executionProvider === 'auto') return openOnnxSession(path, { executionProvider: 'cpu', threads });
    throw new ConfigError(
      `The CUDA execution provider cannot be used: ${cause.message}. onnxruntime-node fetches it when it is installed on Linux with ONNXRUNTIME_NODE_INSTALL unset, and it needs an NVIDIA driver, CUDA 12 and cuDNN 9; or take --execution-provider cpu.`,
      { cause },
    );
  }
}
