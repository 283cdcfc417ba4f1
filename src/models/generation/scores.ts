/** Scores of the next token: on the device, and read to the host only as far as they are asked for. */

import { OpError } from '../../errors.js';
import { callNamed, type NamedFunction, type Tensors } from '../../runtime/named-function.js';
import { keep, scope, type Tensor, tensor } from '../../runtime/tensor.js';
import { drawFunctions } from './draw-functions.js';

export interface Scores {
  /** All logits, float32 `[rows, V]`; they live as long as the scores. */
  onDevice: Tensor;
  /** Of each row, the likeliest token; computed when it is asked for. */
  readonly best: Int32Array;
  /** Of each row, the largest logit, and the logarithm of the sum of the exponentials of all logits. */
  max: Float32Array;
  logNormalizer: Float32Array;
  /** A copy of all logits, `[rows, V]`. */
  logits(): Float32Array;
  /** The logits of `ids`, each in its row. */
  logitsAt(rows: readonly number[], ids: readonly number[]): Float32Array;
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
  const functions = drawFunctions(logits.shape[1] as number);
  const read = (fn: NamedFunction, output: string, inputs: Tensors) =>
    callNamed(fn, { logits, ...inputs })[output]!.data();
  const int32s = (values: readonly number[]) => tensor('int32', [values.length], values);
  let best: Int32Array | undefined;
  return {
    onDevice: logits,
    get best() {
      best ??= scope(() => read(functions.likeliest, 'ids', {}) as Int32Array);
      return best;
    },
    max: max.data() as Float32Array,
    logNormalizer,
    logits: () => logits.data() as Float32Array,
    logitsAt: (rows, ids) =>
      scope(
        () => read(functions.logitsAt, 'values', { rows: int32s(rows), ids: int32s(ids) }) as Float32Array,
      ),
    weights: (temperature) =>
      scope(() => {
        const inputs = { max, temperature: tensor('float32', [], [temperature]) };
        return read(weights, 'weights', inputs) as Float32Array;
      }),
    dispose,
  };
}
