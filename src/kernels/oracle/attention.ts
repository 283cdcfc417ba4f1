/** Attention over a packed row of pairs in plain tfjs operations, from one mask of all tokens by all tokens. */

import * as tf from '@tensorflow/tfjs';

/** Far below any score, and finite: a sum with it never becomes NaN. */
const MASKED = -1e30;

/** Where tokens lie in a packed row `prompt | chosen | rejected | prompt | ... | padding`. */
export interface RowLayout {
  /** Token counts, `[3 B + 1]`: prompt, chosen and rejected of each pair, then the padding. */
  sizes: ArrayLike<number>;
  /** Position of each token, `[N]`; both responses of a pair start at the prompt's length. */
  positions: ArrayLike<number>;
}

/**
 * Which tokens see which, `[N][N]`: a token sees those at its own or an earlier position in its own piece and, from
 * a response, in its pair's prompt. Padding sees nothing.
 *
 * @param window A token sees itself and this many minus one positions before it; null: all before it.
 */
export function visibility({ sizes, positions }: RowLayout, window: number | null): boolean[][] {
  const padding = sizes.length - 1;
  const pieceOf = Array.from(sizes, (size, piece) => new Array<number>(size).fill(piece)).flat();
  return pieceOf.map((piece, i) =>
    pieceOf.map((other, j) => {
      const promptOfPiece = piece - (piece % 3);
      const distance = positions[i]! - positions[j]!;
      const related = piece !== padding && (other === piece || other === promptOfPiece);
      return related && distance >= 0 && (window === null || distance < window);
    }),
  );
}

/**
 * `softmax(q k^T / sqrt(hd) + mask) v` with H / KV query heads for each key/value head; padding gets zeros.
 *
 * @param q `[N, H, hd]`
 * @param k `[N, KV, hd]`
 * @param v `[N, KV, hd]`
 * @param seen From {@link visibility}
 * @returns `[N, H, hd]`
 */
export function attention(
  q: tf.Tensor3D,
  k: tf.Tensor3D,
  v: tf.Tensor3D,
  seen: readonly (readonly boolean[])[],
): tf.Tensor3D {
  const groups = q.shape[1] / k.shape[1];
  return tf.tidy(() => {
    const byHead = (x: tf.Tensor3D) => x.transpose<tf.Tensor3D>([1, 0, 2]);
    const repeated = (x: tf.Tensor3D) => {
      const heads = Array.from({ length: q.shape[1] }, (_, head) => Math.floor(head / groups));
      return tf.gather(byHead(x), tf.tensor1d(heads, 'int32'));
    };
    const mask = tf.tensor2d(seen.map((row) => row.map((visible) => (visible ? 0 : MASKED))));
    const anything = tf.tensor1d(seen.map((row) => (row.includes(true) ? 1 : 0)));
    const scores = tf.matMul(byHead(q), repeated(k), false, true).div(Math.sqrt(q.shape[2]));
    const probabilities = tf.softmax(scores.add(mask)).mul(anything.reshape([1, -1, 1])) as tf.Tensor3D;
    return byHead(tf.matMul(probabilities, repeated(v)));
  });
}
