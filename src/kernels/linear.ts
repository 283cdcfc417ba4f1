/** Linear layers, plain and with a low-rank update (LoRA, Hu et al. 2021), and their gradients. */

import { attr } from '../runtime/attributes.js';
import type { GraphBuilder, GraphValue } from '../runtime/graph-function.js';
import { add, cast, div, matmul, mul, toFloat32 } from './graph-math.js';

/** A low-rank update `y += scale * dropout(x) A^T B^T`. */
export interface LowRank {
  /** `[r, in]`, float32. */
  a: GraphValue;
  /** `[out, r]`, float32. */
  b: GraphValue;
  /** lora_alpha / r, or lora_alpha / sqrt(r) with rsLoRA. */
  scale: number;
  dropout?: Dropout;
}

/** Inverted dropout, drawn again in the backward pass from the same seed. */
export interface Dropout {
  /** Share of elements set to zero, in [0, 1). */
  rate: number;
  /** int32 `[2]`. */
  seed: GraphValue;
}

/** `y = x W^T (+ bias)` with W `[out, in]`, x `[N, in]`, bias `[out]`. */
export function linear(g: GraphBuilder, x: GraphValue, weight: GraphValue, bias?: GraphValue): GraphValue {
  const y = matmul(g, x, weight, { transposeB: true });
  return bias === undefined ? y : add(g, y, cast(g, bias, y.dtype));
}

/** What a low-rank update adds to the layer's output: `scale * dropout(x) A^T B^T`, `[N, out]` in x's dtype. */
export function lowRankUpdate(g: GraphBuilder, x: GraphValue, adapter: LowRank): GraphValue {
  const { aCast, bScaled } = lowRankFactors(g, x, adapter);
  const inner = matmul(g, dropped(g, x, adapter.dropout), aCast, { transposeB: true });
  return matmul(g, inner, bScaled, { transposeB: true });
}

/** What the update adds to dx: `dropout'(scale dy B A)`, in dy's dtype. */
export function lowRankInputGradient(g: GraphBuilder, dy: GraphValue, adapter: LowRank): GraphValue {
  const { aCast, bScaled } = lowRankFactors(g, dy, adapter);
  return dropped(g, matmul(g, matmul(g, dy, bScaled), aCast), adapter.dropout);
}

/**
 * With `u = dropout(x) A^T`: `dB = scale dy^T u`, `dA = (scale dy B)^T dropout(x)`, in float32.
 */
export function lowRankFactorGradients(
  g: GraphBuilder,
  x: GraphValue,
  dy: GraphValue,
  adapter: LowRank,
): { da: GraphValue; db: GraphValue } {
  const { aCast, bScaled } = lowRankFactors(g, x, adapter);
  const seen = dropped(g, x, adapter.dropout);
  const inner = matmul(g, seen, aCast, { transposeB: true });
  const dInner = matmul(g, dy, bScaled);
  const db = matmul(g, dy, inner, { transposeA: true });
  return {
    da: toFloat32(g, matmul(g, dInner, seen, { transposeA: true })),
    db: mul(g, toFloat32(g, db), adapter.scale),
  };
}

function lowRankFactors(g: GraphBuilder, x: GraphValue, { a, b, scale }: LowRank) {
  return { aCast: cast(g, a, x.dtype), bScaled: cast(g, mul(g, b, scale), x.dtype) };
}

/** `x * keep / (1 - rate)`; linear in x, so that it is its own gradient. */
function dropped(g: GraphBuilder, x: GraphValue, dropout: Dropout | undefined): GraphValue {
  if (dropout === undefined || dropout.rate === 0) return x;
  const shape = g.op('Shape', [x], { T: attr.type(x.dtype), out_type: attr.type('int32') });
  const uniform = g.op('StatelessRandomUniform', [shape, dropout.seed], {
    dtype: attr.type('float32'),
    T: attr.type('int32'),
    Tseed: attr.type('int32'),
  });
  const keep = g.op('GreaterEqual', [uniform, g.constant('float32', dropout.rate)], {
    T: attr.type('float32'),
  });
  return mul(g, x, cast(g, div(g, cast(g, keep, 'float32'), 1 - dropout.rate), x.dtype));
}
