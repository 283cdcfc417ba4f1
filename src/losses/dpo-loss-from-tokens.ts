import * as tf from '@tensorflow/tfjs';
import { ConfigError, ShapeError } from '../errors.js';
import type { Arithmetic } from './arithmetic.js';
import type { DpoLossResult } from './dpo-loss.js';
import {
  type DpoOptions,
  lossCouplesPairs,
  type ResolvedDpoOptions,
  resolveDpoOptions,
} from './dpo-options.js';
import { expectLength, expectVectors, type NumberArray, tidied } from './forms.js';
import { weightedLosses } from './pair-losses.js';
import { type BatchTotals, implicitRewards, type PairLengths, pairTerms } from './pair-terms.js';
import { plainArithmetic } from './plain-arithmetic.js';
import { tensorArithmetic } from './tensor-arithmetic.js';

/** The completion tokens of `B` pairs in one row of `M`, as a packed batch holds them. */
export interface DpoTokens<T> {
  /** log π(y_t | x, y_<t) of each completion token under the policy, `[M]`, nats. */
  policyLogps: T;
  /** The same under the reference, `[M]`. */
  referenceLogps: T;
  /**
   * Whose token each is, `[M]`: `2i` for pair `i`'s chosen response, `2i + 1` for its rejected one, negative
   * for padding. Within a response, tokens come in their order.
   */
  completionSegments: Int32Array;
  /** `B` */
  pairCount: number;
  /** `log Σ_v π(v | x, y_<t)²` over the vocabulary, `[M]`; required by `useWeighting`, else unread. */
  policyLogSumSquares?: T;
  /**
   * Totals of the batch of which these pairs are a part. Default: they are the whole. `loss` is then the
   * part's share: the shares of all parts add up to the loss of the batch, and so do their gradients.
   */
  batch?: BatchTotals;
}

/** The loss of a batch (or its share of one), and what each pair has to do with it. */
export interface DpoTokenLoss<V, S> extends DpoLossResult<V> {
  /** `Σ losses / batch.pairCount`: the mean over the pairs, where they are the whole batch. */
  loss: S;
  /** log π(y|x) of each response, `[B]`; with `ldAlpha`, its length-desensitized form. */
  chosenLogps: V;
  rejectedLogps: V;
}

/**
 * The DPO loss of packed pairs, from the log-probabilities of their completion tokens: sums them by response
 * and takes `dpoLoss` of the sums. Unlike `dpoLoss` it knows the tokens, so every loss type and option works:
 *
 * - `ldAlpha` (LD-DPO, arXiv 2409.06411): a response's tokens beyond the shorter one's length count α;
 * - `useWeighting` (WPO, arXiv 2406.11827, Eq. 2): each pair's losses are multiplied by
 *   `Π_{y ∈ {y_w, y_l}} exp(mean_t (log π(y_t) - log Σ_v π(v)²))`, through which no gradient flows;
 * - `ipo` and `sigmoid_norm` take scores per token, `sft` the mean over all chosen tokens.
 *
 * Tensors give tensors, `loss` differentiable with respect to `policyLogps`; arrays of numbers give numbers.
 *
 * @throws ShapeError for inputs of different lengths or segments that are no pair's
 * @throws ConfigError for options out of range, a missing `policyLogSumSquares`, or a part of a batch whose
 * pairs the loss couples (`lossCouplesPairs`)
 */
export function dpoLossFromTokens(
  tokens: DpoTokens<NumberArray>,
  options?: DpoOptions,
): DpoTokenLoss<number[], number>;
export function dpoLossFromTokens(
  tokens: DpoTokens<tf.Tensor>,
  options?: DpoOptions,
): DpoTokenLoss<tf.Tensor1D, tf.Scalar>;
export function dpoLossFromTokens(
  tokens: DpoTokens<NumberArray> | DpoTokens<tf.Tensor>,
  options: DpoOptions = {},
): DpoTokenLoss<number[], number> | DpoTokenLoss<tf.Tensor1D, tf.Scalar> {
  const resolved = resolveDpoOptions(options);
  const inputs = expectVectors({
    policyLogps: tokens.policyLogps,
    referenceLogps: tokens.referenceLogps,
    ...(resolved.useWeighting && { policyLogSumSquares: expectLogSumSquares(tokens.policyLogSumSquares) }),
  });
  expectLength('completionSegments', tokens.completionSegments, inputs.length);
  const layout = layoutOf(tokens);
  if (layout.batch.pairCount !== layout.pairCount && lossCouplesPairs(options)) {
    throw new ConfigError(
      `lossType ${resolved.lossType.join(', ')} couples the pairs of a batch: expected all ${layout.batch.pairCount} at once, got ${layout.pairCount}`,
    );
  }
  if (inputs.form === 'tensors') {
    return tidied(() => tokenLoss(tensorArithmetic, inputs.vectors, layout, resolved));
  }
  return tokenLoss(plainArithmetic, inputs.vectors, layout, resolved);
}

/** `dpoLossFromTokens` in tensors, and `d loss / d policyLogps`, `[M]`. */
export interface DpoTokenGradient extends DpoTokenLoss<tf.Tensor1D, tf.Scalar> {
  policyLogpsGradient: tf.Tensor1D;
}

/**
 * The loss, its gradient for each token's log-probability and the metrics' inputs in one forward and backward
 * pass: what a training step hands to the backward of the model's head. The caller owns the result's tensors.
 */
export function dpoLossAndGradient(tokens: DpoTokens<tf.Tensor>, options: DpoOptions = {}): DpoTokenGradient {
  return tidied(() => {
    // Tensors made while differentiating end with it, so what is wanted besides the loss is kept, then handed
    // to the scope around it.
    let forward: DpoTokenLoss<tf.Tensor1D, tf.Scalar> | undefined;
    const gradient = tf.grad((policyLogps) => {
      forward = dpoLossFromTokens({ ...tokens, policyLogps }, options);
      for (const tensor of Object.values(forward)) tf.keep(tensor);
      return forward.loss;
    })(tokens.policyLogps);
    const { loss, losses, chosenRewards, rejectedRewards, chosenLogps, rejectedLogps } = forward!;
    return {
      loss: handOver(loss),
      losses: handOver(losses),
      chosenRewards: handOver(chosenRewards),
      rejectedRewards: handOver(rejectedRewards),
      chosenLogps: handOver(chosenLogps),
      rejectedLogps: handOver(rejectedLogps),
      policyLogpsGradient: gradient as tf.Tensor1D,
    };
  });
}

function handOver<T extends tf.Tensor>(kept: T): T {
  const owned = kept.clone();
  kept.dispose();
  return owned;
}

/** Where the tokens of each response lie: all that is known on the host. */
interface TokenLayout {
  segments: Int32Array;
  pairCount: number;
  /** Tokens of each response, `[2B]`, in the order of segments. */
  lengths: number[];
  batch: BatchTotals;
}

interface TokenVectors<V> {
  policyLogps: V;
  referenceLogps: V;
  policyLogSumSquares?: V;
}

function tokenLoss<V, S>(
  m: Arithmetic<V, S>,
  tokens: TokenVectors<V>,
  layout: TokenLayout,
  options: ResolvedDpoOptions,
): DpoTokenLoss<V, S> {
  const { pairCount, batch } = layout;
  const tokenWeights =
    options.ldAlpha === null ? null : m.constant(desensitizedWeights(layout, options.ldAlpha));
  const sums = (logps: V) =>
    sumsByResponse(m, tokenWeights === null ? logps : m.mul(logps, tokenWeights), layout);
  const [policyChosen, policyRejected] = sums(tokens.policyLogps);
  const [referenceChosen, referenceRejected] = sums(tokens.referenceLogps);
  const [chosenLengths, rejectedLengths] = m.deinterleave(
    m.constant(layout.lengths.map((n) => Math.max(n, 1))),
  );

  const lengths: PairLengths<V> = {
    chosen: chosenLengths,
    rejected: rejectedLengths,
    chosenTokenLogps: tokenWeights === null ? policyChosen : sumsByResponse(m, tokens.policyLogps, layout)[0],
    batch,
  };
  const logps = { policyChosen, policyRejected, referenceChosen, referenceRejected };
  const terms = pairTerms(m, logps, lengths, options);
  const pairWeights = options.useWeighting ? likelihoodWeights(m, tokens, lengths, layout) : null;
  const losses = weightedLosses(terms, options, pairWeights);
  return {
    loss: m.scale(m.mean(losses), pairCount / batch.pairCount),
    losses,
    ...implicitRewards(terms, options),
    chosenLogps: policyChosen,
    rejectedLogps: policyRejected,
  };
}

function sumsByResponse<V, S>(m: Arithmetic<V, S>, values: V, { segments, pairCount }: TokenLayout): [V, V] {
  return m.deinterleave(m.segmentSums(values, segments, 2 * pairCount));
}

/** WPO's weight of each pair, `[B]`: how likely both responses are, a token taken against the likeliest spread. */
function likelihoodWeights<V, S>(
  m: Arithmetic<V, S>,
  { policyLogps, policyLogSumSquares }: TokenVectors<V>,
  lengths: PairLengths<V>,
  layout: TokenLayout,
): V {
  const aligned = m.sub(m.stopGradient(policyLogps), policyLogSumSquares!);
  const [chosen, rejected] = sumsByResponse(m, aligned, layout);
  return m.exp(m.add(m.div(chosen, lengths.chosen), m.div(rejected, lengths.rejected)));
}

/** LD-DPO's weight of each token, `[M]`: 1 up to the length both responses reach, `alpha` beyond. */
function desensitizedWeights({ segments, lengths }: TokenLayout, alpha: number): number[] {
  const seen = lengths.map(() => 0);
  return Array.from(segments, (segment) => {
    if (segment < 0) return 0;
    const position = seen[segment]!++;
    // The other response of the pair is the segment that differs in the last bit.
    return position < Math.min(lengths[segment]!, lengths[segment ^ 1]!) ? 1 : alpha;
  });
}

function layoutOf({ completionSegments, pairCount, batch }: DpoTokens<unknown>): TokenLayout {
  if (!Number.isInteger(pairCount) || pairCount < 1) {
    throw new ShapeError(`pairCount: expected an integer of at least 1, got ${pairCount}`);
  }
  const lengths = new Array<number>(2 * pairCount).fill(0);
  for (const segment of completionSegments) {
    if (segment >= lengths.length) {
      throw new ShapeError(`completionSegments: expected segments below ${lengths.length}, got ${segment}`);
    }
    if (segment >= 0) lengths[segment]!++;
  }
  const chosenTokenCount = lengths.reduce((total, length, i) => (i % 2 === 0 ? total + length : total), 0);
  return {
    segments: completionSegments,
    pairCount,
    lengths,
    batch: batch ?? { pairCount, chosenTokenCount },
  };
}

function expectLogSumSquares<T>(policyLogSumSquares: T | undefined): T {
  if (policyLogSumSquares !== undefined) return policyLogSumSquares;
  throw new ConfigError(
    'useWeighting: expected policyLogSumSquares, the log of Σ p² at each token, got none',
  );
}
