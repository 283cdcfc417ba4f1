/**
 * What lies inside a decoder layer, in plain tfjs operations: they run on any tfjs backend and tfjs can
 * differentiate them. Slow, and plain enough to be checked by eye: the compiled kernels are held against them.
 */

import * as tf from '@tensorflow/tfjs';

/** `y = x / sqrt(mean(x^2) + eps) * w` over the last axis; x `[..., D]`, w `[D]`. */
export function rmsNorm<T extends tf.Tensor>(x: T, weight: tf.Tensor, eps: number): T {
  return tf.tidy(() => {
    const meanSquare = x.square().mean(-1, true);
    return x.mul(meanSquare.add(eps).rsqrt()).mul(weight) as T;
  });
}

/** `y = x W^T (+ bias)`; x `[N, in]`, W `[out, in]`, bias `[out]`. */
export function linear(x: tf.Tensor2D, weight: tf.Tensor2D, bias?: tf.Tensor): tf.Tensor2D {
  return tf.tidy(() => {
    const y: tf.Tensor2D = tf.matMul(x, weight, false, true);
    return bias === undefined ? y : y.add<tf.Tensor2D>(bias);
  });
}

/** A low-rank update of a linear layer (LoRA, Hu et al. 2021). */
export interface LowRankFactors {
  /** `[r, in]` */
  a: tf.Tensor2D;
  /** `[out, r]` */
  b: tf.Tensor2D;
  /** lora_alpha / r, or lora_alpha / sqrt(r) with rsLoRA. */
  scale: number;
  /** What the layer's input is multiplied by before A, `[N, in]`: a drawn dropout. Default: nothing. */
  dropout?: tf.Tensor2D;
}

/** What a low-rank update adds to the layer's output: `scale (x * dropout) A^T B^T`, `[N, out]`. */
export function lowRankUpdate(x: tf.Tensor2D, { a, b, scale, dropout }: LowRankFactors): tf.Tensor2D {
  return tf.tidy(() => {
    const seen = dropout === undefined ? x : x.mul<tf.Tensor2D>(dropout);
    return tf.matMul(tf.matMul(seen, a, false, true), b, false, true).mul(scale);
  });
}

/** `silu(gate) * up` with `silu(z) = z sigmoid(z)`; of the same shape each. */
export function swiglu<T extends tf.Tensor>(gate: T, up: T): T {
  return tf.tidy(() => gate.mul(gate.sigmoid()).mul(up) as T);
}

/** Rows of the embedding, `[N, D]`; table `[V, D]`, ids int32 `[N]`. */
export function embed(table: tf.Tensor2D, ids: tf.Tensor1D): tf.Tensor2D {
  return tf.gather(table, ids);
}

/**
 * Rotary position embedding (Su et al. 2021) in the half-split layout: coordinates i and i + hd / 2 of a head turn
 * by `position * frequency[i]`.
 *
 * @param x `[N, heads, hd]`
 * @param positions Position of each token, `[N]`
 * @param frequencies Angle a position, `[hd / 2]`
 */
export function rotate(
  x: tf.Tensor3D,
  positions: ArrayLike<number>,
  frequencies: ArrayLike<number>,
): tf.Tensor3D {
  return tf.tidy(() => {
    const angles = Array.from(positions, (position) =>
      Array.from(frequencies, (frequency) => position * frequency),
    );
    const cos = tf.tensor3d(angles.map((row) => [row.map(Math.cos)]));
    const sin = tf.tensor3d(angles.map((row) => [row.map(Math.sin)]));
    const [first, second] = tf.split(x, 2, 2) as [tf.Tensor3D, tf.Tensor3D];
    const turned = [first.mul(cos).sub(second.mul(sin)), second.mul(cos).add(first.mul(sin))];
    return tf.concat(turned, 2) as tf.Tensor3D;
  });
}
