import * as tf from '@tensorflow/tfjs';
import { afterAll, describe, expect, it } from 'vitest';
import { attention, visibility } from '../../src/kernels/oracle/attention.js';
import { decoderHead, decoderHiddenStates, sequenceLayout } from '../../src/kernels/oracle/decoder.js';
import { rmsNorm, rotate, swiglu } from '../../src/kernels/oracle/layers.js';
import { tokenScores } from '../../src/kernels/oracle/token-scores.js';
import { useTensorflowBackend } from '../../src/runtime/tfjs/backend.js';
import { worstError } from '../support/worst-error.js';
import { normal } from './support.js';

afterAll(async () => {
  await tf.setBackend('cpu');
});

const SHAPE = {
  numLayers: 1,
  numHeads: 2,
  numKeyValueHeads: 1,
  headDim: 4,
  rmsNormEps: 1e-5,
  slidingWindow: 3,
};

const WEIGHT_SHAPES: Record<string, number[]> = {
  'model.embed_tokens.weight': [11, 6],
  'model.layers.0.input_layernorm.weight': [6],
  'model.layers.0.self_attn.q_proj.weight': [8, 6],
  'model.layers.0.self_attn.k_proj.weight': [4, 6],
  'model.layers.0.self_attn.v_proj.weight': [4, 6],
  'model.layers.0.self_attn.o_proj.weight': [6, 8],
  'model.layers.0.post_attention_layernorm.weight': [6],
  'model.layers.0.mlp.gate_proj.weight': [7, 6],
  'model.layers.0.mlp.up_proj.weight': [7, 6],
  'model.layers.0.mlp.down_proj.weight': [6, 7],
  'model.norm.weight': [6],
};
const HOST_WEIGHTS = Object.entries(WEIGHT_SHAPES).map(([name, shape]) => [name, normal(shape)] as const);

function decoderLogps(weights: Record<string, tf.Tensor>): Float32Array {
  const ids = [3, 1, 4, 1, 5, 9];
  const states = decoderHiddenStates(SHAPE, weights, ids, sequenceLayout(6), { frequencies: [1, 0.1] });
  const labels = tf.tensor1d([1, 4, 1, 5, 9, 2], 'int32');
  const scores = tokenScores(states.at(-1)!, decoderHead(weights), labels);
  const logps = scores.logps.dataSync() as Float32Array;
  tf.dispose([states, labels, { ...scores }]);
  return logps;
}

async function decoderOn(use: () => Promise<unknown>): Promise<Float32Array> {
  await use();
  const before = tf.memory().numTensors;
  const weights = Object.fromEntries(
    HOST_WEIGHTS.map(([name, { shape, data }]) => [name, tf.tensor(data, shape)]),
  );
  const logps = decoderLogps(weights);
  tf.dispose(weights);
  expect(tf.memory().numTensors).toBe(before);
  return logps;
}

describe('the oracle', () => {
  it('computes the same on tfjs\u2019 CPU backend and on TensorFlow, and leaves no tensor behind', async () => {
    const cpu = await decoderOn(() => tf.setBackend('cpu'));
    const tensorflow = await decoderOn(useTensorflowBackend);
    expect(worstError(tensorflow, cpu)).toBeLessThan(1e-5);
  });

  it('names the weight that is missing', () => {
    expect(() => decoderHiddenStates(SHAPE, {}, [1], sequenceLayout(1), { frequencies: [1, 0.1] })).toThrow(
      'expected a weight called model.embed_tokens.weight, got none',
    );
  });

  it('agrees with sums done by hand', async () => {
    await tf.setBackend('cpu');
    tf.tidy(() => {
      const normed = rmsNorm(tf.tensor1d([3, 4]), tf.tensor1d([1, 2]), 0);
      expect(worstError(normed.dataSync(), [3 / Math.sqrt(12.5), 8 / Math.sqrt(12.5)])).toBeLessThan(1e-6);

      const gated = swiglu(tf.tensor1d([0, 1]), tf.tensor1d([5, 2])).dataSync();
      expect(worstError(gated, [0, 2 / (1 + Math.exp(-1))])).toBeLessThan(1e-6);

      // A quarter turn takes (a, b) to (-b, a), a and b half a head apart.
      const turned = rotate(tf.tensor3d([[[1, 2, 3, 4]]]), [1], [Math.PI / 2, 0]).dataSync();
      expect(worstError(turned, [-3, 2, 1, 4])).toBeLessThan(1e-6);

      // Scores of 0 and log 3: weights of a quarter and three quarters, for both query heads of the one key head.
      const q = tf.tensor3d([
        [[0], [0]],
        [[1], [1]],
      ]);
      const k = tf.tensor3d([[[0]], [[Math.log(3)]]]);
      const v = tf.tensor3d([[[4]], [[8]]]);
      const seen = visibility(sequenceLayout(2), null);
      expect(worstError(attention(q, k, v, seen).dataSync(), [4, 4, 7, 7])).toBeLessThan(1e-6);
    });
  });
});
