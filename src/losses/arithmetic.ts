/**
 * The vocabulary in which every loss of this folder is written, once. It has two speakers: float64 on plain
 * arrays (`plain-arithmetic.ts`) and tfjs on tensors (`tensor-arithmetic.ts`), so the two forms of a loss
 * cannot drift apart.
 *
 * `V` is a vector (one value for each pair, or for each token), `S` a scalar. Where an operand may be a
 * number, it stands for a vector of that number.
 */
export interface Arithmetic<V, S> {
  /** Values known on the host; no gradient flows into them. */
  constant(values: ArrayLike<number>): V;

  add(a: V, b: V | number): V;
  sub(a: V, b: V | number): V;
  mul(a: V, b: V | number): V;
  div(a: V, b: V): V;
  neg(a: V): V;
  square(a: V): V;
  exp(a: V): V;
  /** `exp(a) - 1`, exact near 0. */
  expm1(a: V): V;
  /** `min(a, limit)`; no gradient flows where the limit holds. */
  atMost(a: V, limit: number): V;
  /** `max(a, 0)` */
  relu(a: V): V;
  /** `σ(a) = 1 / (1 + exp(-a))` */
  sigmoid(a: V): V;
  /** `log(1 + exp(a)) = -log σ(-a)`, finite in value and gradient however large `|a|` is. */
  softplus(a: V): V;
  /** 1 where `a > b`, else 0. */
  greater(a: V, b: V): V;

  mean(a: V): S;
  scale(a: S, factor: number): S;

  /** Ascending; the gradient goes back to where each value came from. */
  sort(a: V): V;
  /** `out[s]` is the sum of the `a[m]` with `segments[m] = s`, for `s` in `[0, count)`; negative segments drop out. */
  segmentSums(a: V, segments: Int32Array, count: number): V;
  /** The values at even and those at odd places. */
  deinterleave(a: V): [even: V, odd: V];
  /** The same values, through which no gradient flows. */
  stopGradient(a: V): V;
}
