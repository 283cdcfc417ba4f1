/** What decoding multiplies in: by the model and the machine; copies compute the same as what they were made of. */

import { describe, expect, it } from 'vitest';
import { decodePrecision, decodeWeights } from '../../../src/models/generation/decode-weights.js';
import { disposeGeneration, generate, loadForGeneration } from '../../../src/models/generation/generate.js';
import { hasFastBfloat16 } from '../../../src/runtime/fast-bfloat16.js';
import { disposeAll, memory } from '../../../src/runtime/tensor.js';
import { worstError } from '../../support/worst-error.js';
import { modelOf, randomAdapter, randomWeights, smallConfig } from '../decoder/support.js';
import { fullPassLogps } from './support.js';

const copyFits = (): boolean => true;
const fast = { copyFits, fastBfloat16: true };
const slow = { copyFits, fastBfloat16: false };
const crowded = { copyFits: (): boolean => false, fastBfloat16: false };
const stored = (weightDtype: 'bfloat16' | 'float32') => ({ dtype: 'bfloat16', weightDtype }) as const;

describe('the dtype of a step', () => {
  it.each([
    ['float32 models stay so', { dtype: 'float32', weightDtype: 'float32' }, 64, fast, 'float32', false],
    ['bfloat16 where it is fast', stored('bfloat16'), 64, fast, 'bfloat16', false],
    ['as stored for a few, where it is slow', stored('bfloat16'), 16, slow, 'bfloat16', false],
    ['a copy for many, where it is slow', stored('bfloat16'), 24, slow, 'float32', true],
    ['weights under training, where bfloat16 is slow', stored('float32'), 64, slow, 'float32', false],
    ['weights under training, where it is fast', stored('float32'), 64, fast, 'bfloat16', true],
    ['the same for a few', stored('float32'), 4, fast, 'float32', false],
    ['no copy that does not fit', stored('bfloat16'), 64, crowded, 'bfloat16', false],
  ] as const)('%s', (_name, model, sequences, machine, dtype, copied) => {
    expect(decodePrecision(model, sequences, machine)).toEqual({ dtype, copied });
  });
});

describe('decoding many sequences of a bfloat16 model', () => {
  const config = smallConfig({ architecture: 'qwen2', attentionBias: true, maxPositionEmbeddings: 200 });
  const prompts = [[4, 5, 6], [7]];

  it('copies the matrices where the other dtype is faster, and frees them', () => {
    const model = modelOf(config, randomWeights(config, 5, 0.4), { dtype: 'bfloat16' });
    const before = memory();
    const { dtype, copies } = decodeWeights(model, 40);
    expect(dtype).toBe(hasFastBfloat16() ? 'bfloat16' : 'float32');
    const matrices = copies.flatMap((layer) => Object.entries(layer));
    expect(matrices).toHaveLength(hasFastBfloat16() ? 0 : 5 * config.numLayers);
    for (const [name, { shape }] of matrices) {
      expect([...shape].reverse()).toEqual(model.weights.layers[0]![name]!.shape);
    }
    disposeAll(copies);
    disposeGeneration(loadForGeneration(model, true, 40));
    expect(memory()).toEqual(before);
    model.dispose();
  });

  it('gives log-probabilities of a full pass, with an adapter too', async () => {
    const model = modelOf(config, randomWeights(config, 5, 0.4), { dtype: 'bfloat16' });
    const { adapter } = randomAdapter(config, 8);
    model.attach(adapter);
    const before = memory();
    const options = { temperature: 1, samples: 20, maxNewTokens: 12, stopTokenIds: [] };
    for (const useAdapter of [true, false]) {
      const completions = await generate(model, prompts, { ...options, adapter: useAdapter });
      for (const { prompt, ids, logprobs } of completions.flatMap((samples) => samples.slice(0, 3))) {
        const full = await fullPassLogps(model, prompts[prompt]!, ids, useAdapter ? adapter : null);
        expect(worstError(logprobs, full)).toBeLessThan(0.03);
      }
    }
    expect(memory()).toEqual(before);
    model.dispose();
  });
});
