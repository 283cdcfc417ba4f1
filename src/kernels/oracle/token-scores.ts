/** Scores of tokens from hidden states in plain tfjs operations, through the whole matrix of logits. */

import * as tf from '@tensorflow/tfjs';

/** What is known of each token, `[M]` each, float32. */
export interface OracleTokenScores {
  /** log p(label), nats. */
  logps: tf.Tensor1D;
  /** Mean of the logits over the vocabulary. */
  meanLogits: tf.Tensor1D;
  /** Entropy of the distribution, nats. */
  entropy: tf.Tensor1D;
  /** `log Σ_v p(v)²` */
  logSumSquares: tf.Tensor1D;
  /** Whether the label is the likeliest token, 0 or 1. */
  correct: tf.Tensor1D;
}

/**
 * `logits = h E^T`, `logp = logit[label] - logsumexp(logits)`.
 *
 * @param hidden h, `[M, D]`
 * @param head E, `[V, D]`
 * @param labels int32 `[M]`
 */
export function tokenScores(hidden: tf.Tensor2D, head: tf.Tensor2D, labels: tf.Tensor1D): OracleTokenScores {
  return tf.tidy(() => {
    const logits = tf.matMul(hidden, head, false, true);
    const logSoftmax = tf.logSoftmax(logits);
    const chosen = tf.oneHot(labels, head.shape[0]);
    return {
      logps: logSoftmax.mul(chosen).sum<tf.Tensor1D>(1),
      meanLogits: logits.mean<tf.Tensor1D>(1),
      entropy: logSoftmax.exp().mul(logSoftmax).sum<tf.Tensor1D>(1).neg(),
      logSumSquares: tf.logSumExp(logSoftmax.mul(2), 1) as tf.Tensor1D,
      correct: logits.argMax(1).equal(labels).toFloat() as tf.Tensor1D,
    };
  });
}
