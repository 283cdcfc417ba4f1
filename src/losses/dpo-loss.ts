import type * as tf from '@tensorflow/tfjs';
import { ConfigError } from '../errors.js';
import type { Arithmetic } from './arithmetic.js';
import { type DpoOptions, type ResolvedDpoOptions, resolveDpoOptions } from './dpo-options.js';
import { expectLength, expectVectors, type NumberArray, tidied } from './forms.js';
import { weightedLosses } from './pair-losses.js';
import { implicitRewards, type PairLengths, type PairLogps, pairTerms } from './pair-terms.js';
import { plainArithmetic } from './plain-arithmetic.js';
import { tensorArithmetic } from './tensor-arithmetic.js';

/** Options of `dpoLoss`: those of DPO, and the lengths that only some losses ask for. */
export interface DpoLossOptions extends DpoOptions {
  /**
   * Completion tokens of each chosen response, `[B]`, counted as 1 where 0. Required by `sft` and
   * `sigmoid_norm`; with them `ipo` is of scores per token, as in TRL, without them of the plain scores.
   */
  chosenLengths?: NumberArray;
  /** The same of each rejected response. Give both or neither. */
  rejectedLengths?: NumberArray;
}

/** Losses and implicit rewards of each pair, `[B]` each. */
export interface DpoLossResult<V> {
  losses: V;
  /** `β (log π(y_w|x) - log π_ref(y_w|x))` */
  chosenRewards: V;
  /** `β (log π(y_l|x) - log π_ref(y_l|x))` */
  rejectedRewards: V;
}

/**
 * The DPO loss of each pair, from the log-probabilities of whole completions under policy and reference
 * (sums over the completion's tokens, in nats). By default Equation 1 of the paper,
 *
 *     -log σ(β ((log π(y_w|x) - log π_ref(y_w|x)) - (log π(y_l|x) - log π_ref(y_l|x))))
 *
 * and by `lossType` its relatives; see `DpoOptions`. The mean over the pairs is left to the caller.
 *
 * Arrays of numbers give arrays of numbers, computed in float64 without any tensor; tensors give tensors on
 * their backend, differentiable by `tf.grad`. Checked against TRL 1.13, in values and gradients.
 *
 * @param policyChosenLogps log π(y_w|x), `[B]`
 * @param policyRejectedLogps log π(y_l|x), `[B]`
 * @param referenceChosenLogps log π_ref(y_w|x), `[B]`
 * @param referenceRejectedLogps log π_ref(y_l|x), `[B]`
 * @throws ShapeError for inputs that are not four vectors of one length and one form
 * @throws ConfigError for options out of range, or that need log-probabilities of tokens (`dpoLossFromTokens`)
 */
export function dpoLoss(
  policyChosenLogps: NumberArray,
  policyRejectedLogps: NumberArray,
  referenceChosenLogps: NumberArray,
  referenceRejectedLogps: NumberArray,
  options?: DpoLossOptions,
): DpoLossResult<number[]>;
export function dpoLoss(
  policyChosenLogps: tf.Tensor,
  policyRejectedLogps: tf.Tensor,
  referenceChosenLogps: tf.Tensor,
  referenceRejectedLogps: tf.Tensor,
  options?: DpoLossOptions,
): DpoLossResult<tf.Tensor1D>;
export function dpoLoss(
  policyChosenLogps: NumberArray | tf.Tensor,
  policyRejectedLogps: NumberArray | tf.Tensor,
  referenceChosenLogps: NumberArray | tf.Tensor,
  referenceRejectedLogps: NumberArray | tf.Tensor,
  options: DpoLossOptions = {},
): DpoLossResult<number[]> | DpoLossResult<tf.Tensor1D> {
  const resolved = resolveDpoOptions(options);
  expectNoTokenOptions(resolved);
  const inputs = expectVectors({
    policyChosen: policyChosenLogps,
    policyRejected: policyRejectedLogps,
    referenceChosen: referenceChosenLogps,
    referenceRejected: referenceRejectedLogps,
  });
  const tokenCounts = expectTokenCounts(options, inputs.length);
  if (inputs.form === 'tensors') {
    return tidied(() => sequenceLoss(tensorArithmetic, inputs.vectors, tokenCounts, inputs.length, resolved));
  }
  return sequenceLoss(plainArithmetic, inputs.vectors, tokenCounts, inputs.length, resolved);
}

interface TokenCounts {
  chosen: number[];
  rejected: number[];
}

function sequenceLoss<V, S>(
  m: Arithmetic<V, S>,
  logps: PairLogps<V>,
  tokenCounts: TokenCounts | null,
  pairCount: number,
  options: ResolvedDpoOptions,
): DpoLossResult<V> {
  const lengths: PairLengths<V> | null = tokenCounts && {
    chosen: m.constant(tokenCounts.chosen),
    rejected: m.constant(tokenCounts.rejected),
    chosenTokenLogps: logps.policyChosen,
    batch: { pairCount, chosenTokenCount: tokenCounts.chosen.reduce((a, b) => a + b, 0) },
  };
  const terms = pairTerms(m, logps, lengths, options);
  return { losses: weightedLosses(terms, options), ...implicitRewards(terms, options) };
}

function expectTokenCounts(options: DpoLossOptions, pairCount: number): TokenCounts | null {
  const { chosenLengths, rejectedLengths } = options;
  if (chosenLengths === undefined && rejectedLengths === undefined) return null;
  if (chosenLengths === undefined || rejectedLengths === undefined) {
    throw new ConfigError('chosenLengths and rejectedLengths: expected both or neither, got one');
  }
  expectLength('chosenLengths', chosenLengths, pairCount);
  expectLength('rejectedLengths', rejectedLengths, pairCount);
  return { chosen: Array.from(chosenLengths, atLeastOne), rejected: Array.from(rejectedLengths, atLeastOne) };
}

function atLeastOne(length: number): number {
  return Math.max(length, 1);
}

function expectNoTokenOptions({ ldAlpha, useWeighting }: ResolvedDpoOptions): void {
  const name = ldAlpha !== null ? 'ldAlpha' : useWeighting ? 'useWeighting' : null;
  if (name === null) return;
  throw new ConfigError(
    `${name} needs the log-probability of each token, but dpoLoss is given those of whole responses; call dpoLossFromTokens`,
  );
}
