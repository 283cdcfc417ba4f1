/** How TensorFlow computes on a GPU: in whole float32, and the same at each run. A CPU knows neither choice. */

import type { TensorflowLibrary } from './tensorflow-library.js';

export interface NumericsOptions {
  /**
   * Multiply float32 matrices in TensorFloat-32, which rounds their elements to 10 bits of mantissa: several times
   * faster on the GPUs that have it, and off by 1e-3 where float32 is off by 1e-6. bfloat16 products are not concerned.
   * Default false, as in PyTorch.
   */
  tf32?: boolean;
  /**
   * Use only operations that give the same bits at each run, as `tf.config.experimental.enable_op_determinism` does:
   * without it a resumed run differs in its last digits. Default true.
   */
  deterministic?: boolean;
}

/**
 * The switches of a process, which TensorFlow has as functions of C++ and not of its C API (tsl/platform/
 * tensor_float_32_utils.h, tsl/util/determinism.h); their names are those that every compiler of Linux and macOS gives.
 */
const SWITCHES = {
  tf32: '_ZN3tsl32enable_tensor_float_32_executionEb',
  deterministic: '_ZN3tsl19EnableOpDeterminismEb',
} as const;

/** Sets both switches. */
export function setNumerics(library: TensorflowLibrary, numerics: Required<NumericsOptions>): void {
  for (const [name, symbol] of Object.entries(SWITCHES)) {
    library.switchOf(symbol)(numerics[name as keyof typeof SWITCHES]);
  }
}
