import type * as tf from '@tensorflow/tfjs';
import { ConfigError } from '../errors.js';
import type { Arithmetic } from './arithmetic.js';
import { expectLength, expectVectors, type NumberArray, tidied } from './forms.js';
import { plainArithmetic } from './plain-arithmetic.js';
import { tensorArithmetic } from './tensor-arithmetic.js';

/** Options of `bradleyTerryLoss`, with the names of TRL's RewardTrainer. */
export interface BradleyTerryOptions {
  /** By how much chosen should be ahead: one number, or one of each pair, `[B]`. Default 0. */
  margin?: number | NumberArray;
  /** c >= 0, the pull of a pair's two rewards towards a sum of 0. Default `null`: none. */
  centerRewardsCoefficient?: number | null;
}

/**
 * The loss of a reward model on each pair, `-log σ(r_w - r_l - margin) + c (r_w + r_l)²`, `[B]`: the negative
 * log-likelihood of the preference under Bradley-Terry (with margin: Llama 2, arXiv 2307.09288, Eq. 2; with
 * centering: arXiv 2312.09244, Eq. 2; both as in TRL's RewardTrainer). The mean is left to the caller.
 *
 * @param chosenRewards r_w, `[B]`
 * @param rejectedRewards r_l, `[B]`
 * @returns numbers for numbers, for tensors a tensor, differentiable by `tf.grad`
 * @throws ShapeError where lengths or forms differ, ConfigError for a negative coefficient
 */
export function bradleyTerryLoss(
  chosenRewards: NumberArray,
  rejectedRewards: NumberArray,
  options?: BradleyTerryOptions,
): number[];
export function bradleyTerryLoss(
  chosenRewards: tf.Tensor,
  rejectedRewards: tf.Tensor,
  options?: BradleyTerryOptions,
): tf.Tensor1D;
export function bradleyTerryLoss(
  chosenRewards: NumberArray | tf.Tensor,
  rejectedRewards: NumberArray | tf.Tensor,
  { margin = 0, centerRewardsCoefficient = null }: BradleyTerryOptions = {},
): number[] | tf.Tensor1D {
  const inputs = expectVectors({ chosenRewards, rejectedRewards });
  const margins = typeof margin === 'number' ? new Array<number>(inputs.length).fill(margin) : margin;
  expectLength('margin', margins, inputs.length);
  if (centerRewardsCoefficient !== null && !(centerRewardsCoefficient >= 0)) {
    throw new ConfigError(
      `centerRewardsCoefficient: expected null or a number of at least 0, got ${centerRewardsCoefficient}`,
    );
  }
  if (inputs.form === 'tensors') {
    return tidied(() =>
      preferenceLikelihood(tensorArithmetic, inputs.vectors, margins, centerRewardsCoefficient),
    );
  }
  return preferenceLikelihood(plainArithmetic, inputs.vectors, margins, centerRewardsCoefficient);
}

function preferenceLikelihood<V, S>(
  m: Arithmetic<V, S>,
  { chosenRewards, rejectedRewards }: { chosenRewards: V; rejectedRewards: V },
  margins: NumberArray,
  centerRewardsCoefficient: number | null,
): V {
  const ahead = m.sub(m.sub(chosenRewards, rejectedRewards), m.constant(margins));
  const losses = m.softplus(m.neg(ahead));
  if (centerRewardsCoefficient === null) return losses;
  return m.add(losses, m.mul(m.square(m.add(chosenRewards, rejectedRewards)), centerRewardsCoefficient));
}
