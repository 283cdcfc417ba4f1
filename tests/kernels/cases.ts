import * as tf from '@tensorflow/tfjs';
import { packedAttention, packedAttentionGradient } from '../../src/kernels/attention.js';
import { mul, reshape, sum, toFloat32 } from '../../src/kernels/graph-math.js';
import {
  linear,
  lowRankFactorGradients,
  lowRankInputGradient,
  lowRankUpdate,
} from '../../src/kernels/linear.js';
import { attention, visibility } from '../../src/kernels/oracle/attention.js';
import * as oracle from '../../src/kernels/oracle/layers.js';
import * as tokenOracle from '../../src/kernels/oracle/token-scores.js';
import { attentionMasks, embed, rotaryAngles } from '../../src/kernels/packed-layout.js';
import { rmsNorm, rmsNormGradient } from '../../src/kernels/rms-norm.js';
import { rotate, rotateGradient } from '../../src/kernels/rotary.js';
import { swiglu, swigluGradient } from '../../src/kernels/swiglu.js';
import { headGradient, hiddenGradient, tokenScores } from '../../src/kernels/token-logps.js';
import type { GraphBuilder, GraphValue } from '../../src/runtime/graph-function.js';
import { drawnDropout, type Graph, integers, type KernelCase, normal } from './support.js';

/** One rounding to bfloat16 is off by up to 2^-9 of a number: what is computed in float32 and rounded once. */
const ONE_ROUNDING = 2 ** -8;
/** Several roundings on the way (probabilities, products of matrices). */
const SEVERAL_ROUNDINGS = 2 ** -6;

const EPS = 1e-5;

function rmsNormCase(title: string, shape: number[]): KernelCase {
  return {
    title,
    inputs: { x: normal(shape), w: normal(shape.slice(-1), { scale: 0.3, mean: 1 }) },
    compute: ['x'],
    xla: true,
    bfloat16Tolerance: ONE_ROUNDING,
    forward: (g, { x, w }) => rmsNorm(g, x!, w!, EPS),
    backward: (g, { x, w, dy }) => {
      const gradient = rmsNormGradient(g, x!, w!, dy!, EPS, shape.length);
      return { x: gradient.dx, w: gradient.dw };
    },
    oracle: ({ x, w }) => oracle.rmsNorm(x!, w!, EPS),
  };
}

function rotaryCase(): KernelCase {
  const frequencies = [1, 0.31, 0.05];
  const positions = [0, 1, 2, 3, 40, 2, 3];
  const angles = (g: GraphBuilder, { positions, frequencies }: Graph) =>
    rotaryAngles(g, positions!, frequencies!, 6);
  return {
    title: 'rotary embedding',
    inputs: {
      x: normal([7, 3, 6]),
      positions: integers(positions),
      frequencies: { dtype: 'float32', shape: [3], data: frequencies },
    },
    compute: [],
    xla: true,
    bfloat16Tolerance: 1e-5,
    gradientDtype: 'float32',
    forward: (g, v) => rotate(g, v.x!, angles(g, v), 6),
    backward: (g, v) => ({ x: rotateGradient(g, v.dy!, angles(g, v), 6) }),
    oracle: ({ x }) => oracle.rotate(x as tf.Tensor3D, positions, frequencies),
  };
}

function swigluCase(): KernelCase {
  return {
    title: 'SwiGLU',
    inputs: { gate: normal([5, 7], { scale: 2 }), up: normal([5, 7], { scale: 2 }) },
    compute: ['gate', 'up'],
    xla: true,
    bfloat16Tolerance: ONE_ROUNDING,
    forward: (g, { gate, up }) => swiglu(g, gate!, up!),
    backward: (g, { gate, up, dy }) => {
      const { dGate, dUp } = swigluGradient(g, gate!, up!, dy!);
      return { gate: dGate, up: dUp };
    },
    oracle: ({ gate, up }) => oracle.swiglu(gate!, up!),
  };
}

function linearCase(bias: boolean): KernelCase {
  return {
    title: bias ? 'linear with bias' : 'linear',
    inputs: { x: normal([5, 6]), w: normal([4, 6]), ...(bias && { b: normal([4]) }) },
    compute: ['x', 'w'],
    xla: true,
    bfloat16Tolerance: SEVERAL_ROUNDINGS,
    forward: (g, { x, w, b }) => linear(g, x!, w!, b),
    oracle: ({ x, w, b }) =>
      b === undefined
        ? oracle.linear(x as tf.Tensor2D, w as tf.Tensor2D)
        : oracle.linear(x as tf.Tensor2D, w as tf.Tensor2D, b),
  };
}

function lowRankCase(rate: number): KernelCase {
  const seed = integers([5, 3]);
  const scale = 1.7;
  const adapter = ({ a, b, seed }: Graph) => ({
    a: a!,
    b: b!,
    scale,
    dropout: { rate, seed: seed! },
  });
  return {
    title: rate > 0 ? `LoRA update with dropout ${rate}` : 'LoRA update',
    inputs: { x: normal([6, 8]), a: normal([3, 8]), b: normal([5, 3]), seed },
    compute: ['x'],
    xla: rate === 0,
    bfloat16Tolerance: SEVERAL_ROUNDINGS,
    forward: (g, v) => lowRankUpdate(g, v.x!, adapter(v)),
    backward: (g, v) => {
      const { da, db } = lowRankFactorGradients(g, v.x!, v.dy!, adapter(v));
      return { a: da, b: db, x: lowRankInputGradient(g, v.dy!, adapter(v)) };
    },
    oracle: ({ x, a, b }) => {
      const drawn = drawnDropout(rate, seed, [6, 8]);
      const dropout = tf.tensor2d(drawn.data, drawn.shape as [number, number]);
      const factors = { a: a as tf.Tensor2D, b: b as tf.Tensor2D, scale };
      return oracle.lowRankUpdate(x as tf.Tensor2D, rate > 0 ? { ...factors, dropout } : factors);
    },
  };
}

function attentionCase(title: string, sizes: number[], groups: number, window: number | null): KernelCase {
  const [KV, hd] = [2, 4];
  const tokens = sizes.reduce((a, b) => a + b, 0);
  const pairs = (sizes.length - 1) / 3;
  const layout = (g: GraphBuilder, { sizes }: Graph) => ({
    pairs,
    sizes: sizes!,
    masks: attentionMasks(g, sizes!, pairs, window),
  });
  const inputs = ({ q, k, v }: Graph) => ({ q: q!, k: k!, v: v! });
  /** Position in the sequence of each packed token. */
  const positions = sizes.flatMap((size, piece) => {
    const start = piece % 3 === 0 ? 0 : sizes[piece - (piece % 3)]!;
    return Array.from({ length: size }, (_, i) => start + i);
  });
  const toOracle = (x: tf.Tensor, heads: number) =>
    x.reshape<tf.Tensor3D>([heads, tokens, hd]).transpose<tf.Tensor3D>([1, 0, 2]);
  return {
    title: `attention over ${title}`,
    inputs: {
      q: normal([KV, groups, tokens, hd], { scale: 0.7 }),
      k: normal([KV, 1, tokens, hd]),
      v: normal([KV, 1, tokens, hd]),
      sizes: integers(sizes),
    },
    compute: ['q', 'k', 'v'],
    xla: false,
    bfloat16Tolerance: SEVERAL_ROUNDINGS,
    forward: (g, v) => packedAttention(g, inputs(v), layout(g, v)),
    backward: (g, v) => {
      const output = packedAttention(g, inputs(v), layout(g, v));
      const rowSums = sum(g, mul(g, toFloat32(g, output), toFloat32(g, v.dy!)), [3]);
      const shape = { keyValueHeads: KV, headDim: hd };
      const d = packedAttentionGradient(g, inputs(v), v.dy!, rowSums, layout(g, v), shape);
      return { q: d.q, k: d.k, v: d.v };
    },
    oracle: ({ q, k, v }) => {
      const seen = visibility({ sizes, positions }, window);
      const unscaled = toOracle(q!, KV * groups).mul<tf.Tensor3D>(Math.sqrt(hd));
      const output = attention(unscaled, toOracle(k!, KV), toOracle(v!, KV), seen);
      return output.transpose([1, 0, 2]).reshape([KV, groups, tokens, hd]);
    },
  };
}

function tokenLogpsCase(): KernelCase {
  const labels = [3, 0, 10, 3, 7];
  const column = (g: GraphBuilder, dy: GraphValue | undefined) => reshape(g, dy!, [-1, 1]);
  return {
    title: 'log-probabilities of tokens',
    inputs: { h: normal([5, 6]), e: normal([11, 6]), labels: integers(labels) },
    compute: ['h'],
    xla: true,
    bfloat16Tolerance: SEVERAL_ROUNDINGS,
    gradientDtype: 'float32',
    forward: (g, { h, e, labels }) => tokenScores(g, h!, e!, labels!).scores.logps,
    backward: (g, { h, e, labels, dy }) => {
      const { negativeGradient } = tokenScores(g, h!, e!, labels!);
      const own = toFloat32(g, hiddenGradient(g, negativeGradient, e!));
      return { h: mul(g, own, column(g, dy)), e: headGradient(g, negativeGradient, h!, column(g, dy)) };
    },
    oracle: ({ h, e }) =>
      tokenOracle.tokenScores(h as tf.Tensor2D, e as tf.Tensor2D, tf.tensor1d(labels, 'int32')).logps,
  };
}

function embeddingCase(): KernelCase {
  const ids = [4, 0, 4, 6];
  return {
    title: 'embedding',
    inputs: { table: normal([7, 5]), ids: integers(ids) },
    compute: ['table'],
    xla: true,
    bfloat16Tolerance: 1e-7,
    forward: (g, { table, ids }) => embed(g, table!, ids!, table!.dtype as 'float32' | 'bfloat16'),
    oracle: ({ table }) => oracle.embed(table as tf.Tensor2D, tf.tensor1d(ids, 'int32')),
  };
}

export const KERNELS: readonly KernelCase[] = [
  rmsNormCase('RMSNorm of tokens', [5, 9]),
  rmsNormCase('RMSNorm of heads', [4, 3, 6]),
  rotaryCase(),
  swigluCase(),
  linearCase(false),
  linearCase(true),
  lowRankCase(0),
  lowRankCase(0.4),
  attentionCase('one pair', [4, 3, 5, 0], 1, null),
  attentionCase('two pairs and padding', [5, 3, 2, 1, 4, 1, 3], 3, null),
  attentionCase('two pairs in a sliding window', [6, 4, 2, 2, 5, 3, 1], 2, 3),
  attentionCase('a prompt without responses', [6, 0, 0, 0], 2, null),
  tokenLogpsCase(),
  embeddingCase(),
];
