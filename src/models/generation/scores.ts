/** Scores of the next token: on the device, and read to the host only as far as the choice of a token needs them. */

import { OpError } from '../../errors.js';
import { callNamed, type NamedFunction, type Tensors } from '../../runtime/named-function.js';
import { keep, scope, type Tensor, tensor } from '../../runtime/tensor.js';

export interface Scores {
  /** Of each row: the likeliest token, its logit, and the logarithm of the sum of the exponentials of all logits. */
  best: Int32Array;
  max: Float32Array;
  logNormalizer: Float32Array;
  /** All logits, `[rows, V]`, a copy that the caller may change. */
  logits(): Float32Array;
  /** One token's logit in each row. */
  logitsOf(ids: readonly number[], rows: readonly number[]): Float32Array;
  /** `exp((logits - max) / temperature)`, `[rows, V]`, a copy that the caller may change. */
  weights(temperature: number): Float32Array;
  dispose(): void;
}
