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
  /** `exp((logits - max) / temperature)`, `[rows, V]`, a copy that the caller may change. */
  weights(temperature: number): Float32Array;
  dispose(): void;
}

/**
 * Takes over the outputs of `scores` or `step`.
 *
 * @param weights The function that gives {@link Scores.weights}
 * @throws OpError when a logit is not a number: the weights are damaged, or training has ruined them
 */
export function scoresOf(outputs: Tensors, weights: NamedFunction): Scores {
  const logits = keep(outputs.logits as Tensor);
  const max = keep(outputs.max as Tensor);
  const dispose = () => {
    logits.dispose();
    max.dispose();
  };
  const logNormalizer = outputs.logNormalizer!.data() as Float32Array;
  if (logNormalizer.some((value) => !Number.isFinite(value))) {
    dispose();
    throw new OpError("the model's logits are not finite numbers; its weights are damaged");
  }
  return {
    best: outputs.best!.data() as Int32Array,
    max: max.data() as Float32Array,
    logNormalizer,
    logits: () => logits.data() as Float32Array,
    weights: (temperature) =>
      scope(() => {
        const inputs = { logits, max, temperature: tensor('float32', [], [temperature]) };
        return callNamed(weights, inputs).weights!.data() as Float32Array;
      }),
    dispose,
  };
}
