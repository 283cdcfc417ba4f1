/** An ONNX model that is loaded into ONNX Runtime, on a thread of its own. */

import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { CheckpointError, OpError, RuntimeInstallError } from '../errors.js';
import { ONNX_WORKER_PROGRAM } from './onnx-worker-program.js';

/** A tensor that goes into or comes out of a model. */
export interface OnnxTensor {
  type: 'float32' | 'int64' | 'int32';
  dims: readonly number[];
  data: Float32Array | BigInt64Array | Int32Array;
}

/** An output of an earlier run that was left where it is. */
export interface HeldTensor {
  held: number;
  output: string;
}

/** Outputs that stay with the session until they are released. */
export interface HeldOutputs {
  tensor(output: string): HeldTensor;
  release(): void;
}

/** What a model says of one of its inputs or outputs; a size is a number, or the name of one that varies. */
export interface OnnxValue {
  name: string;
  type: string;
  shape: readonly (number | string)[];
}

export interface OnnxSession {
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  /** The execution provider that was asked for and is there; operators that it lacks run on the CPU. */
  readonly executionProvider: 'cpu' | 'cuda';
  /** @throws OpError with ONNX Runtime's words */
  run(
    feeds: Readonly<Record<string, OnnxTensor | HeldTensor>>,
    outputs: readonly string[],
  ): Promise<Record<string, OnnxTensor>>;
  /** Runs the model and leaves the outputs where they are, for later runs. */
  hold(
    feeds: Readonly<Record<string, OnnxTensor | HeldTensor>>,
    outputs: readonly string[],
  ): Promise<HeldOutputs>;
  /** Ends the thread, after what it is doing. */
  dispose(): Promise<void>;
}

export interface OnnxSessionOptions {
  executionProvider: 'cpu' | 'cuda';
  /** Threads of the CPU provider; 0 for one a physical core. Default 0. */
  threads?: number;
}

/**
 * Loads an ONNX file, with the external data beside it.
 *
 * @throws RuntimeInstallError when ONNX Runtime is not installed; CheckpointError when it refuses the file, or the
 * provider cannot be started
 */
export async function openOnnxSession(
  path: string,
  { executionProvider, threads = 0 }: OnnxSessionOptions,
): Promise<OnnxSession> {
  const worker = new Worker(ONNX_WORKER_PROGRAM, {
    eval: true,
    // Not what this process was started with: a loader of TypeScript has nothing to do there.
    execArgv: [],
    workerData: {
      modulePath: onnxRuntimePath(),
      path,
      options: {
        executionProviders: executionProvider === 'cuda' ? ['cuda', 'cpu'] : ['cpu'],
        graphOptimizationLevel: 'all',
        executionMode: 'sequential',
        interOpNumThreads: 1,
        ...(threads === 0 ? {} : { intraOpNumThreads: threads }),
        logSeverityLevel: 4,
      },
    },
  });
  const ready = await firstMessage(worker);
  if (!ready.ready) {
    await worker.terminate();
    throw new CheckpointError(`ONNX Runtime cannot load ${path}: ${ready.error}`, {
      details: { path, executionProvider },
    });
  }
  const calls = new SessionCalls(worker);
  return {
    inputs: ready.inputs,
    outputs: ready.outputs,
    executionProvider,
    run: (feeds, outputs) => calls.run(feeds, outputs),
    hold: (feeds, outputs) => calls.hold(feeds, outputs),
    dispose: () => calls.close(),
  };
}

function onnxRuntimePath(): string {
  try {
    return createRequire(import.meta.url).resolve('onnxruntime-node');
  } catch (cause) {
    throw new RuntimeInstallError('ONNX Runtime is not installed; install it: npm install onnxruntime-node', {
      cause,
    });
  }
}

type Ready = { ready: true; inputs: OnnxValue[]; outputs: OnnxValue[] } | { ready: false; error: string };

function firstMessage(worker: Worker): Promise<Ready> {
  return new Promise((resolve) => {
    const onError = ({ message }: Error) => settle({ ready: false, error: message });
    const onExit = (code: number) => settle({ ready: false, error: `its thread ended with code ${code}` });
    const settle = (message: Ready) => {
      // Not all listeners at once: the thread's own are among them.
      worker.off('message', settle).off('error', onError).off('exit', onExit);
      resolve(message);
    };
    worker.on('message', settle).on('error', onError).on('exit', onExit);
  });
}

interface Waiting {
  resolve: (result: never) => void;
  reject: (error: Error) => void;
}

/** Questions to a session's thread and their answers. */
class SessionCalls {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ended: Promise<void>;
  #next = 0;
  #closed = false;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', ({ id, result, error }: { id: number; result?: unknown; error?: string }) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) worker.unref();
      if (error === undefined) waiting?.resolve(result as never);
      else waiting?.reject(new OpError(`ONNX Runtime could not run the model: ${error}`));
    });
    worker.on('error', (error) => this.#failAll(error.message));
    this.#ended = new Promise((resolve) => {
      worker.on('exit', () => {
        this.#failAll('its thread has ended');
        resolve();
      });
    });
    // A model that nobody asks anything does not keep the process alive.
    worker.unref();
  }

  run(
    feeds: Readonly<Record<string, OnnxTensor | HeldTensor>>,
    outputs: readonly string[],
  ): Promise<Record<string, OnnxTensor>> {
    return this.#ask({ kind: 'run', feeds, outputs, hold: null });
  }

  async hold(
    feeds: Readonly<Record<string, OnnxTensor | HeldTensor>>,
    outputs: readonly string[],
  ): Promise<HeldOutputs> {
    const held = this.#next++;
    await this.#ask({ kind: 'run', feeds, outputs, hold: held });
    return {
      tensor: (output) => ({ held, output }),
      release: () => {
        if (!this.#closed) this.#worker.postMessage({ kind: 'release', hold: held });
      },
    };
  }

  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#worker.ref();
      this.#worker.postMessage({ kind: 'close' });
    }
    await this.#ended;
  }

  #ask<Result>(message: object): Promise<Result> {
    if (this.#closed) return Promise.reject(new OpError('The ONNX Runtime session has been disposed.'));
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.ref();
      this.#worker.postMessage({ id, ...message });
    });
  }

  #failAll(reason: string): void {
    this.#closed = true;
    for (const { reject } of this.#waiting.values()) {
      reject(new OpError(`ONNX Runtime could not run the model: ${reason}`));
    }
    this.#waiting.clear();
  }
}
