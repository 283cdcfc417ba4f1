import * as tf from '@tensorflow/tfjs';
import type { Arithmetic } from './arithmetic.js';
import { expectLength, expectVectors, type NumberArray } from './forms.js';
import { plainArithmetic } from './plain-arithmetic.js';
import { tensorArithmetic } from './tensor-arithmetic.js';

/** Options of `sftLoss`. */
export interface SftLossOptions {
  /** 1 for the tokens that count, 0 for the others, `[M]`. Default: all count. */
  completionMask?: NumberArray;
}

/**
 * The supervised loss, `-Σ_t mask_t log π(y_t | y_<t) / Σ_t mask_t`: the mean negative log-likelihood of the
 * tokens, in nats, as TRL's SFT. A mask of zeros gives 0.
 *
 * @param policyLogps log π(y_t | y_<t) of each token, `[M]`
 * @returns a number for numbers; for a tensor a scalar, differentiable by `tf.grad`
 * @throws ShapeError where mask and log-probabilities differ in length
 */
export function sftLoss(policyLogps: NumberArray, options?: SftLossOptions): number;
export function sftLoss(policyLogps: tf.Tensor, options?: SftLossOptions): tf.Scalar;
export function sftLoss(
  policyLogps: NumberArray | tf.Tensor,
  { completionMask }: SftLossOptions = {},
): number | tf.Scalar {
  const inputs = expectVectors({ policyLogps });
  if (completionMask !== undefined) expectLength('completionMask', completionMask, inputs.length);
  if (inputs.form === 'tensors') {
    return tf.tidy(() =>
      meanNll(tensorArithmetic, inputs.vectors.policyLogps, inputs.length, completionMask),
    );
  }
  return meanNll(plainArithmetic, inputs.vectors.policyLogps, inputs.length, completionMask);
}

function meanNll<V, S>(m: Arithmetic<V, S>, logps: V, tokenCount: number, mask: NumberArray | undefined): S {
  if (mask === undefined) return m.scale(m.mean(logps), -1);
  const counted = Array.from(mask).reduce((sum, weight) => sum + weight, 0);
  return m.scale(m.mean(m.mul(logps, m.constant(mask))), -tokenCount / Math.max(counted, 1));
}
