import * as tf from '@tensorflow/tfjs';
import type { Arithmetic } from './arithmetic.js';

const MAX_FLOAT32 = 3.4028234e38;

/**
 * tfjs on any of its backends, differentiable by `tf.grad`. Call it inside `tf.tidy`.
 *
 * Only ops that have both a gradient and a kernel in the TensorFlow binding are used. `tf.logSigmoid` is
 * avoided: its gradient is wrong in tfjs 4.22, and `softplus` says the same.
 */
export const tensorArithmetic: Arithmetic<tf.Tensor1D, tf.Scalar> = {
  constant: (values) => tf.tensor1d(Float32Array.from(values)),

  add: (a, b) => tf.add(a, b),
  sub: (a, b) => tf.sub(a, b),
  mul: (a, b) => tf.mul(a, b),
  div: (a, b) => tf.div(a, b),
  neg: (a) => tf.neg(a),
  square: (a) => tf.square(a),
  exp: (a) => tf.exp(a),
  expm1: (a) => tf.expm1(a),
  // Not tf.minimum, whose gradient multiplies by 0 where the limit holds: 0 · ∞ is no number.
  atMost: (a, limit) => tf.clipByValue(a, -MAX_FLOAT32, limit),
  relu: (a) => tf.relu(a),
  sigmoid: (a) => tf.sigmoid(a),
  softplus: (a) => tf.softplus(a),
  greater: (a, b) => tf.cast(tf.greater(a, b), 'float32'),

  mean: (a) => tf.mean(a),
  scale: (a, factor) => tf.mul(a, factor),

  sort: (a) => sortAscending(a),
  segmentSums: (a, segments, count) => tf.unsortedSegmentSum(a, tf.tensor1d(segments, 'int32'), count),
  deinterleave: (a) => {
    const [even, odd] = tf.unstack(tf.reshape(a, [-1, 2]), 1);
    return [even as tf.Tensor1D, odd as tf.Tensor1D];
  },
  stopGradient: (a) => withoutGradient(a),
};

/** `tf.topk` has no gradient; that of a permutation is the permutation undone. */
const sortAscending = tf.customGrad((x, save) => {
  const values = x as tf.Tensor1D;
  const order = tf.topk(tf.neg(values), values.size, true).indices as tf.Tensor1D;
  (save as tf.GradSaveFunc)([order]);
  return {
    value: tf.gather(values, order),
    gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
      tf.unsortedSegmentSum(dy, saved[0] as tf.Tensor1D, values.size),
  };
}) as (x: tf.Tensor1D) => tf.Tensor1D;

const withoutGradient = tf.customGrad((x) => ({
  value: (x as tf.Tensor).clone(),
  gradFunc: (dy: tf.Tensor) => tf.zerosLike(dy),
})) as (x: tf.Tensor1D) => tf.Tensor1D;
