/** Scores of the next token: on the device, and read to the host only as far as the choice of a token needs them. */

import { OpError } from '../../errors.js';
import type { Tensors } from '../../runtime/named-function.js';
import { disposeAll, keep, type Tensor } from '../../runtime/tensor.js';

export interface Scores {
  /** Of each row: the likeliest token, its logit, and the logarithm of the sum of the exponentials of all logits. */
  best: Int32Array;
  max: Float32Array;
  logNormalizer: Float32Array;
  /** All logits, `[rows, V]`, a copy that the caller may change. */
  logits(): Float32Array;
  dispose(): void;
}

/** @throws OpError when a logit is not a number: the weights are damaged, or training has ruined them */
export function scoresOf(outputs: Tensors): Scores {
  const logits = keep(outputs.logits as Tensor);
  const scores: Scores = {
    best: outputs.best!.data() as Int32Array,
    max: outputs.max!.data() as Float32Array,
    logNormalizer: outputs.logNormalizer!.data() as Float32Array,
    logits: () => logits.data() as Float32Array,
    dispose: () => logits.dispose(),
  };
  disposeAll([outputs.best, outputs.max, outputs.logNormalizer]);
  if (scores.logNormalizer.some((value) => !Number.isFinite(value))) {
    scores.dispose();
    throw new OpError("the model's logits are not finite numbers; its weights are damaged");
  }
  return scores;
}
