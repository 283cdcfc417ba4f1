/** Checking TensorFlow's status objects. */

import type { TensorflowFunctions } from './tensorflow-functions.js';

/** What TensorFlow said when a call failed: its error code (tensorflow/c/tf_status.h) and message. */
export interface Failure {
  code: number;
  message: string;
}

/** One reusable status for calls on the main thread; a call on another thread needs its own. */
export class Status {
  readonly handle: number;
  readonly #functions: TensorflowFunctions;

  constructor(functions: TensorflowFunctions) {
    this.#functions = functions;
    this.handle = functions.TF_NewStatus();
  }

  /** The failure of the last call made with this status, or undefined after a success. */
  failure(): Failure | undefined {
    const code = this.#functions.TF_GetCode(this.handle);
    return code === 0 ? undefined : { code, message: this.#functions.TF_Message(this.handle) };
  }

  /** Throws what `error` makes of the last call's failure, if it failed. */
  check(error: (failure: Failure) => Error): void {
    const failure = this.failure();
    if (failure !== undefined) throw error(failure);
  }

  dispose(): void {
    this.#functions.TF_DeleteStatus(this.handle);
  }
}
