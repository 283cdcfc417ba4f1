/** Each supported architecture against transformers and against the oracle decoder. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packPairs } from '../../../src/data/pack.js';
import type { TokenizedPair } from '../../../src/data/tokenize.js';
import type { LanguageModel } from '../../../src/models/language-model.js';
import { tokenLogits } from '../../../src/models/logits.js';
import type { ModelConfig } from '../../../src/models/model-config.js';
import { memory } from '../../../src/runtime/tensor.js';
import { worstError } from '../../support/worst-error.js';
import {
  accumulate,
  byHuggingFaceName,
  type Gradients,
  loadDecoder,
  modelOf,
  oracleGradients,
  oracleLogps,
  randomPairs,
  randomWeights,
  rowGradients,
  rowLogps,
  smallConfig,
  toTfjs,
  unevenSlopes,
  wrongGradients,
} from './support.js';

interface GoldenDecoder {
  prompt: number[];
  chosen: number[];
  rejected: number[];
  logits: number[][];
  chosen_logps: number[];
  rejected_logps: number[];
  /** Sum, sum of magnitudes, product with cos(0.37 i). */
  gradients: Record<string, [number, number, number]>;
}

const folder = join(import.meta.dirname, '..', '..', 'golden', 'decoder');
const golden = (
  JSON.parse(readFileSync(join(folder, 'values.json'), 'utf8')) as { models: Record<string, GoldenDecoder> }
).models;

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe.each(Object.entries(golden))('%s, as transformers computes it', (name, known) => {
  const pair: TokenizedPair = {
    id: name,
    promptIds: known.prompt,
    chosenIds: known.chosen,
    rejectedIds: known.rejected,
  };
  const logps = [...known.chosen_logps, ...known.rejected_logps];
  const slopes = [
    ...known.chosen.map((_, t) => Math.cos(t + 1)),
    ...known.rejected.map((_, t) => Math.sin(t + 1)),
  ];

  describe.each([
    { dtype: 'float32' as const, xla: false },
    { dtype: 'float32' as const, xla: true },
  ])('in $dtype, XLA $xla', (options) => {
    let model: LanguageModel;

    beforeAll(() => {
      model = loadDecoder(join(folder, name), options);
    });

    afterAll(() => {
      model.dispose();
    });

    it('has its logits', async () => {
      const before = memory();
      const logits = await tokenLogits(model, [...known.prompt, ...known.chosen]);
      expect(logits.shape).toEqual([known.logits.length, model.config.vocabSize]);
      expect(worstError(logits.toNumbers(), known.logits.flat())).toBeLessThan(1e-5);
      logits.dispose();
      expect(memory()).toEqual(before);
    });

    it('has its log-probabilities and every gradient, prompt and responses packed in one row', async () => {
      const before = memory();
      const computed = await rowGradients(model, [pair], () => slopes, { padToMultipleOf: 16 });
      expect(memory()).toEqual(before);
      expect(worstError(computed.logps, logps)).toBeLessThan(1e-5);
      const gradients = byHuggingFaceName(model.config, computed.gradients);
      expect(Object.keys(gradients).sort()).toEqual(Object.keys(known.gradients).sort());
      for (const [weight, gradient] of Object.entries(gradients)) {
        const [sum, magnitude, product] = known.gradients[weight]!;
        expect(worstError(told(gradient), [sum, magnitude, product]), weight).toBeLessThan(1e-5);
      }
    });
  });

  it('comes near in bfloat16', async () => {
    const model = loadDecoder(join(folder, name), { dtype: 'bfloat16' });
    // Seven roundings of 2^-9 a layer on the way, and logits that are sums of 32 products.
    expect(worstError(await rowLogps(model, [pair]), logps)).toBeLessThan(0.03);
    model.dispose();
  });
});

/** The three numbers by which a gradient is told, see generate.py. */
function told(gradient: Float32Array): number[] {
  let [sum, magnitude, product] = [0, 0, 0];
  gradient.forEach((value, i) => {
    sum += value;
    magnitude += Math.abs(value);
    product += value * Math.cos(0.37 * i);
  });
  return [sum, magnitude, product];
}

const EMBEDDING = 'model.embed_tokens.weight';
const HEAD = 'lm_head.weight';

const VARIANTS: Record<string, Partial<ModelConfig>> = {
  'llama with llama3 rope': {
    ropeScaling: {
      type: 'llama3',
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositionEmbeddings: 32,
    },
  },
  'llama with every bias and linear rope': {
    attentionBias: true,
    attentionOutputBias: true,
    mlpBias: true,
    ropeScaling: { type: 'linear', factor: 3 },
  },
  'llama with a head for each key and value': { numKeyValueHeads: 4, padTokenId: 5 },
  'mistral with a window of 4': { architecture: 'mistral', slidingWindow: 4 },
  'mistral with a window of 1': { architecture: 'mistral', slidingWindow: 1 },
  'qwen2, tied, with a padding token': {
    architecture: 'qwen2',
    attentionBias: true,
    tieWordEmbeddings: true,
    padTokenId: 7,
  },
  'qwen3, tied, one key/value head': {
    architecture: 'qwen3',
    queryKeyNorm: true,
    tieWordEmbeddings: true,
    numKeyValueHeads: 1,
  },
};

describe.each(Object.entries(VARIANTS))('%s, as the oracle computes it', (_name, variant) => {
  const config = smallConfig(variant);
  const weights = randomWeights(config, 3, 0.25);
  const pairs = randomPairs(3, 4);

  it.each([false, true])('log-probabilities and every gradient, XLA %s', async (xla) => {
    const model = modelOf(config, weights, { xla });
    const row = packPairs(pairs, { padToMultipleOf: 8 });
    const actual = await rowGradients(model, pairs, unevenSlopes, { padToMultipleOf: 8 });
    model.dispose();
    const leaves = toTfjs(weights);
    // A tied head as a leaf of its own, so that its gradient can be told from that of reading the embedding.
    leaves[HEAD] ??= leaves[EMBEDDING]!.clone();
    const expected = oracleLogps(config, leaves, row);
    expect(worstError(actual.logps, expected.dataSync())).toBeLessThan(1e-5);
    const slopes = unevenSlopes(actual.logps, row);
    const gradients = oracleGradients(leaves, (tensors) => oracleLogps(config, tensors, row), slopes);
    if (config.padTokenId !== null) zeroRow(gradients, config.padTokenId, config.hiddenSize);
    if (config.tieWordEmbeddings) {
      accumulate(gradients, EMBEDDING, gradients[HEAD]!);
      delete gradients[HEAD];
    }
    expect(wrongGradients(byHuggingFaceName(config, actual.gradients), gradients, 2e-5)).toEqual({});
    tf.dispose([expected, leaves]);
  });
});

/** Reading the padding token teaches its row nothing, as in torch.nn.Embedding with a padding_idx. */
function zeroRow(gradients: Gradients, row: number, width: number): void {
  const embedding = gradients[EMBEDDING]!;
  expect(embedding.subarray(row * width, (row + 1) * width).some((value) => value !== 0)).toBe(true);
  embedding.fill(0, row * width, (row + 1) * width);
}
