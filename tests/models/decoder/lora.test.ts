/** Low-rank adapters: against the oracle, against the merged model, and against central differences. */

import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { packPairs } from '../../../src/data/pack.js';
import type { LoraConfig } from '../../../src/models/lora-adapter.js';
import { LINEAR_MODULES, type LinearModule } from '../../../src/models/lora-shape.js';
import { disposeAll, memory, tensor } from '../../../src/runtime/tensor.js';
import { drawnDropout, integers } from '../../kernels/support.js';
import { worstError } from '../../support/worst-error.js';
import {
  byHuggingFaceName,
  type Gradients,
  type HostWeights,
  modelOf,
  moduleWeight,
  oracleAdapters,
  oracleGradients,
  oracleLogps,
  randomAdapter,
  randomPairs,
  randomWeights,
  rowGradients,
  rowLogps,
  smallConfig,
  toTfjs,
  unevenSlopes,
  wrongGradients,
} from './support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const config = smallConfig({ attentionBias: true });
const weights = randomWeights(config, 21, 0.25);
const pairs = randomPairs(2, 22);

const ADAPTERS: Record<string, Partial<LoraConfig>> = {
  'every module': {},
  'query and value': { modules: ['q_proj', 'v_proj'] },
  'down and key, out of order': { modules: ['down_proj', 'k_proj'], rank: 2 },
  'gate alone': { modules: ['gate_proj'] },
  'rsLoRA on every module': { useRslora: true, rank: 4, alpha: 3 },
};

describe.each(Object.entries(ADAPTERS))('an adapter on %s', (_name, options) => {
  it.each([false, true])('has the log-probabilities and gradients of the oracle, XLA %s', async (xla) => {
    const model = modelOf(config, weights, { xla });
    const { adapter, factors } = randomAdapter(config, 23, options);
    const before = memory();
    const { logps, gradients } = await rowGradients(model, pairs, unevenSlopes, { adapter });
    expect(memory()).toEqual(before);
    const row = packPairs(pairs);
    const [base, free] = [toTfjs(weights), toTfjs(factors)];
    const scored = (factors: Readonly<Record<string, tf.Tensor>>) =>
      oracleLogps(config, base, row, oracleAdapters(factors, config, adapter.config));
    const expected = scored(free);
    expect(worstError(logps, expected.dataSync())).toBeLessThan(1e-5);
    expect(wrongGradients(gradients, oracleGradients(free, scored, unevenSlopes(logps, row)), 2e-5)).toEqual(
      {},
    );
    tf.dispose([base, free, expected]);
    adapter.dispose();
    model.dispose();
  });

  it('is its merged model, whose gradients G give dA = s Bᵀ G and dB = s G Aᵀ', async () => {
    const { adapter, factors } = randomAdapter(config, 24, options);
    const { modules } = adapter.config;
    const { scale } = adapter.shape(false);
    const merged = modelOf(config, mergedWeights(factors, modules, scale));
    const model = modelOf(config, weights);
    const low = await rowGradients(model, pairs, unevenSlopes, { adapter });
    const full = await rowGradients(merged, pairs, unevenSlopes);
    expect(worstError(low.logps, full.logps)).toBeLessThan(1e-5);
    const named = byHuggingFaceName(config, full.gradients);
    const projected: Gradients = {};
    for (let layer = 0; layer < config.numLayers; layer++) {
      for (const module of modules) {
        const [a, b] = [factors[`layers.${layer}.${module}.A`]!, factors[`layers.${layer}.${module}.B`]!];
        const [rank, input] = a.shape as [number, number];
        const [out] = b.shape as [number];
        const dW = named[moduleWeight(layer, module)]!;
        const sum = (count: number, term: (i: number) => number) =>
          scale * Array.from({ length: count }, (_, i) => term(i)).reduce((x, y) => x + y, 0);
        projected[`layers.${layer}.${module}.A`] = Float32Array.from(a.data, (_, at) => {
          const [r, i] = [Math.floor(at / input), at % input];
          return sum(out, (o) => b.data[o * rank + r]! * dW[o * input + i]!);
        });
        projected[`layers.${layer}.${module}.B`] = Float32Array.from(b.data, (_, at) => {
          const [o, r] = [Math.floor(at / rank), at % rank];
          return sum(input, (i) => dW[o * input + i]! * a.data[r * input + i]!);
        });
      }
    }
    expect(wrongGradients(low.gradients, projected, 2e-5)).toEqual({});
    adapter.dispose();
    model.dispose();
    merged.dispose();
  });
});

function mergedWeights(factors: HostWeights, modules: readonly string[], scale: number): HostWeights {
  const merged = { ...weights };
  for (let layer = 0; layer < config.numLayers; layer++) {
    for (const module of modules) {
      const [a, b] = [factors[`layers.${layer}.${module}.A`]!, factors[`layers.${layer}.${module}.B`]!];
      const [rank, input] = a.shape as [number, number];
      const name = moduleWeight(layer, module);
      const { shape, data } = weights[name]!;
      const updated = data.map((value, at) => {
        const [o, i] = [Math.floor(at / input), at % input];
        let update = 0;
        for (let r = 0; r < rank; r++) update += b.data[o * rank + r]! * a.data[r * input + i]!;
        return value + scale * update;
      });
      merged[name] = { shape, data: updated };
    }
  }
  return merged;
}

describe('dropout', () => {
  it('of every module is its own, the same forward and backward, and seen by the update alone', async () => {
    const model = modelOf(config, weights);
    const { adapter, factors } = randomAdapter(config, 28, { dropout: 0.3 });
    const options = { adapter, dropoutSeed: 9, padToMultipleOf: 8 };
    const { logps, gradients } = await rowGradients(model, pairs, unevenSlopes, options);
    const row = packPairs(pairs, options);
    const drawn = (layer: number, module: LinearModule, width: number) => {
      const seed = integers([9, 16 * layer + LINEAR_MODULES.indexOf(module)]);
      return tf.tensor2d(drawnDropout(0.3, seed, [row.inputIds.length, width]).data, [
        row.inputIds.length,
        width,
      ]);
    };
    const [base, free] = [toTfjs(weights), toTfjs(factors)];
    const scored = (factors: Readonly<Record<string, tf.Tensor>>) =>
      oracleLogps(config, base, row, oracleAdapters(factors, config, adapter.config, drawn));
    const [expected, expectedGradients] = tf.tidy(() => [
      scored(free).dataSync(),
      oracleGradients(free, scored, unevenSlopes(logps, row)),
    ]);
    expect(worstError(logps, expected)).toBeLessThan(1e-5);
    expect(wrongGradients(gradients, expectedGradients, 2e-5)).toEqual({});
    tf.dispose([base, free]);
    adapter.dispose();
    model.dispose();
  });
});

describe('the gradient of an adapter', () => {
  it('is the slope of the log-probabilities, by central differences', async () => {
    const model = modelOf(config, weights);
    const { adapter } = randomAdapter(config, 25);
    const row = packPairs(pairs);
    const { logps, gradients } = await rowGradients(model, pairs, unevenSlopes, { adapter });
    const slopes = unevenSlopes(logps, row);
    const step = 0.005;
    for (const [layer, name, index] of probes()) {
      const factors = adapter.layers[layer]!;
      const original = factors[name]!;
      const values = original.data() as Float32Array;
      const objective = async (delta: number) => {
        const moved = values.slice();
        moved[index]! += delta;
        factors[name] = tensor('float32', original.shape, moved);
        const sum = (await rowLogps(model, pairs, { adapter })).reduce((s, x, i) => s + x * slopes[i]!, 0);
        disposeAll(factors[name]);
        factors[name] = original;
        return sum;
      };
      const difference = async (h: number) => (await objective(h)) - (await objective(-h));
      const slope = (8 * (await difference(step)) - (await difference(2 * step))) / (12 * step);
      const gradient = gradients[`layers.${layer}.${name}`]!;
      const largest = gradient.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
      expect(Math.abs(gradient[index]! - slope) / largest, `${layer} ${name} ${index}`).toBeLessThan(1e-3);
    }
    adapter.dispose();
    model.dispose();
  });

  /** Three elements of each factor, far apart. */
  function* probes(): Generator<[number, string, number]> {
    for (let layer = 0; layer < config.numLayers; layer++) {
      for (const module of LINEAR_MODULES) {
        for (const index of [0, 13, 17]) {
          yield [layer, `${module}.A`, index];
          yield [layer, `${module}.B`, index];
        }
      }
    }
  }

  it('comes near in bfloat16', async () => {
    const { adapter } = randomAdapter(config, 26);
    const exact = modelOf(config, weights);
    const rough = modelOf(config, weights, { dtype: 'bfloat16' });
    const expected = await rowGradients(exact, pairs, unevenSlopes, { adapter });
    const actual = await rowGradients(rough, pairs, unevenSlopes, { adapter });
    expect(worstError(actual.logps, expected.logps)).toBeLessThan(0.05);
    expect(wrongGradients(actual.gradients, expected.gradients, 0.15)).toEqual({});
    adapter.dispose();
    exact.dispose();
    rough.dispose();
  });

  it('is nothing for A where B is nothing, and the log-probabilities are the base model\u2019s then', async () => {
    const model = modelOf(config, weights);
    const { adapter } = randomAdapter(config, 27);
    for (const factors of adapter.layers) {
      for (const module of LINEAR_MODULES) {
        const { shape } = factors[`${module}.B`]!;
        factors[`${module}.B`]!.dispose();
        factors[`${module}.B`] = tensor('float32', shape, new Float32Array(shape[0]! * shape[1]!));
      }
    }
    const { logps, gradients } = await rowGradients(model, pairs, unevenSlopes, { adapter });
    expect(logps).toEqual(await rowLogps(model, pairs));
    for (const [id, gradient] of Object.entries(gradients)) {
      const largest = gradient.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
      if (id.endsWith('.A')) expect(largest, id).toBe(0);
      else expect(largest, id).toBeGreaterThan(0);
    }
    adapter.dispose();
    model.dispose();
  });
});
