/**
 * Log-probabilities of tokens from hidden states, one chunk of tokens at a time: the matrix of all tokens by the
 * whole vocabulary never exists.
 *
 * Logits are computed in float32 also where everything else is bfloat16: a logit of 20 rounded to bfloat16 is off
 * by up to 0.06, and a pair's log-ratio sums hundreds of them.
 */

import { attr } from '../runtime/attributes.js';
import type { GraphBuilder, GraphValue } from '../runtime/graph-function.js';
import { type CrossEntropy, crossEntropy } from './cross-entropy.js';
import {
  batchMatmul,
  cast,
  log,
  matmul,
  mean,
  mul,
  neg,
  reshape,
  softmax,
  sub,
  toFloat32,
} from './graph-math.js';

/** What is known of each token of a chunk, `[C]` each. */
export interface TokenScores {
  /** log p(label), float32. */
  logps: GraphValue;
  /** Mean of the logits over the vocabulary, float32. */
  meanLogits: GraphValue;
  /** Entropy of the distribution in nats, float32. */
  entropy: GraphValue;
  /** `log Σ_v p(v)²`, float32: what WPO holds a token's log-probability against. */
  logSumSquares: GraphValue;
  /** Whether the label is the likeliest token, float32 0 or 1. */
  correct: GraphValue;
}

/** `h E^T`, `[C, V]`, float32. */
export function tokenLogits(g: GraphBuilder, hidden: GraphValue, head: GraphValue): GraphValue {
  return matmul(g, toFloat32(g, hidden), head, { transposeB: true });
}

/**
 * `logits = h E^T`, `logp = logit[label] - logsumexp(logits)`.
 *
 * @param hidden h, `[C, D]`
 * @param head E, `[V, D]`, float32
 * @param labels int32 `[C]`
 * @returns the scores (those that a function does not return are not computed), and the gradient of the negative
 * log-probability with respect to the logits, `[C, V]`
 */
export function tokenScores(
  g: GraphBuilder,
  hidden: GraphValue,
  head: GraphValue,
  labels: GraphValue,
): { scores: TokenScores; negativeGradient: GraphValue } {
  const logits = tokenLogits(g, hidden, head);
  const { loss, negativeGradient } = crossEntropy(g, logits, labels);
  const known = { logits, labels, loss, negativeGradient };
  return { scores: { logps: neg(g, loss), ...statistics(g, known) }, negativeGradient };
}

/**
 * Gradient of each token's own log-probability with respect to its hidden state, `d logp / d h = (onehot - p) E`,
 * `[C, D]` in hidden's dtype. Gradients of a loss are this times `d loss / d logp`, row by row.
 *
 * @param negativeGradient `p - onehot`, `[C, V]`, from {@link tokenScores}
 * @param head E in the dtype of hidden
 */
export function hiddenGradient(g: GraphBuilder, negativeGradient: GraphValue, head: GraphValue): GraphValue {
  return neg(g, matmul(g, cast(g, negativeGradient, head.dtype), head));
}

/**
 * Gradient of the loss with respect to the head, `dE = (weight * (onehot - p))^T h`, `[V, D]` in hidden's dtype.
 *
 * @param weights `d loss / d logp` of each token, float32 `[C, 1]`
 */
export function headGradient(
  g: GraphBuilder,
  negativeGradient: GraphValue,
  hidden: GraphValue,
  weights: GraphValue,
): GraphValue {
  // The weights go to the D columns of the hidden states rather than to the V of the logits.
  const weighted = cast(g, mul(g, toFloat32(g, hidden), neg(g, weights)), hidden.dtype);
  return matmul(g, cast(g, negativeGradient, hidden.dtype), weighted, { transposeA: true });
}

/** Logits `[C, V]`, labels `[C]` and the one's cross-entropy against the other. */
interface LabelledLogits extends CrossEntropy {
  logits: GraphValue;
  labels: GraphValue;
}

function statistics(
  g: GraphBuilder,
  { logits, labels, loss, negativeGradient }: LabelledLogits,
): Omit<TokenScores, 'logps'> {
  const best = g.op('ArgMax', [logits, g.constant('int32', 1)], {
    T: attr.type('float32'),
    Tidx: attr.type('int32'),
    output_type: attr.type('int32'),
  });
  const correct = g.op('Equal', [best, labels], { T: attr.type('int32') });
  const p = softmax(g, logits);
  return {
    meanLogits: mean(g, logits, [1], false),
    // -sum p log p = logsumexp(z) - sum p z = loss - sum (p - onehot) z, whose terms are at hand.
    entropy: sub(g, loss, rowProducts(g, negativeGradient, logits)),
    // At least -log V: no probability squared to zero is missed in the sum.
    logSumSquares: log(g, rowProducts(g, p, p)),
    correct: cast(g, correct, 'float32'),
  };
}

/** The dot product of each row of `a` with that of `b`, `[C]`, without writing the matrix of products. */
function rowProducts(g: GraphBuilder, a: GraphValue, b: GraphValue): GraphValue {
  const expand = (x: GraphValue, axis: number) =>
    g.op('ExpandDims', [x, g.constant('int32', axis)], { T: attr.type('float32'), Tdim: attr.type('int32') });
  return reshape(g, batchMatmul(g, expand(a, 1), expand(b, 2)), [-1]);
}
