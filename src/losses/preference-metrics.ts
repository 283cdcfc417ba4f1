import type * as tf from '@tensorflow/tfjs';
import type { Arithmetic } from './arithmetic.js';
import { expectVectors, type NumberArray, tidied } from './forms.js';
import { plainArithmetic } from './plain-arithmetic.js';
import { tensorArithmetic } from './tensor-arithmetic.js';

/** What the metrics are of, `[B]` each: a result of `dpoLossFromTokens` fits. */
export interface PreferenceMetricsInputs<T> {
  chosenRewards: T;
  rejectedRewards: T;
  chosenLogps: T;
  rejectedLogps: T;
}

/** By TRL's names, each a mean over the pairs. */
export interface PreferenceMetrics<S> {
  'rewards/chosen': S;
  'rewards/rejected': S;
  /** Share of pairs whose chosen reward is greater; equal rewards (a first step's zeros) don't count. */
  'rewards/accuracies': S;
  'rewards/margins': S;
  'logps/chosen': S;
  'logps/rejected': S;
}

/**
 * Means over the pairs of their rewards, log-probabilities, margins `chosen - rejected`, and accuracies
 * `chosen > rejected`, as TRL 1.13 logs them. (Where a step accumulates several batches, TRL logs the mean of
 * their means.)
 *
 * @returns numbers for numbers, scalars for tensors
 * @throws ShapeError where lengths or forms differ
 */
export function preferenceMetrics(inputs: PreferenceMetricsInputs<NumberArray>): PreferenceMetrics<number>;
export function preferenceMetrics(inputs: PreferenceMetricsInputs<tf.Tensor>): PreferenceMetrics<tf.Scalar>;
export function preferenceMetrics(
  inputs: PreferenceMetricsInputs<NumberArray> | PreferenceMetricsInputs<tf.Tensor>,
): PreferenceMetrics<number> | PreferenceMetrics<tf.Scalar> {
  const { chosenRewards, rejectedRewards, chosenLogps, rejectedLogps } = inputs;
  const checked = expectVectors({ chosenRewards, rejectedRewards, chosenLogps, rejectedLogps });
  if (checked.form === 'tensors') return tidied(() => means(tensorArithmetic, checked.vectors));
  return means(plainArithmetic, checked.vectors);
}

function means<V, S>(
  m: Arithmetic<V, S>,
  { chosenRewards, rejectedRewards, chosenLogps, rejectedLogps }: PreferenceMetricsInputs<V>,
): PreferenceMetrics<S> {
  return {
    'rewards/chosen': m.mean(chosenRewards),
    'rewards/rejected': m.mean(rejectedRewards),
    'rewards/accuracies': m.mean(m.greater(chosenRewards, rejectedRewards)),
    'rewards/margins': m.mean(m.sub(chosenRewards, rejectedRewards)),
    'logps/chosen': m.mean(chosenLogps),
    'logps/rejected': m.mean(rejectedLogps),
  };
}
