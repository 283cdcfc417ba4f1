/** Exported graphs of every family against the plain decoder that serves as oracle. */

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decoderHiddenStates, sequenceLayout } from '../../src/kernels/oracle/decoder.js';
import type { ModelConfig } from '../../src/models/model-config.js';
import { ropeFrequencies } from '../../src/models/rope-frequencies.js';
import { openSafetensorsFolder } from '../../src/models/safetensors.js';
import { readFloat32 } from '../../src/models/weight-source.js';
import { exportRewardModel } from '../../src/rewards/export/export-reward-model.js';
import { readRecipe } from '../../src/rewards/recipe.js';
import { scoreIds } from './score-ids.js';
import { writeTinyRewardModel } from './tiny-reward-model.js';

const root = mkdtempSync(join(tmpdir(), 'persona-dpo-reward-export-'));
afterAll(() => rmSync(root, { recursive: true }));
beforeAll(async () => {
  await tf.setBackend('cpu');
});

const CONTEXT = [5, 9, 200, 31, 7, 7, 90, 41, 12, 250, 3, 18, 77, 64, 101, 33, 8, 150, 22, 6, 14, 19];
const GROUPS = [
  [
    [...CONTEXT, 40, 41, 42],
    [...CONTEXT, 40, 99, 3, 2, 1, 200, 201],
    [...CONTEXT, 8],
  ],
  [[4], [5, 6]],
  [
    [...CONTEXT.slice(3), 90, 12],
    [...CONTEXT.slice(3), 91, 12, 13],
  ],
];

const FAMILIES: Record<string, Partial<ModelConfig>> = {
  'Llama with biases': { attentionBias: true, attentionOutputBias: true, mlpBias: true },
  'Llama 3.1 with scaled rotary embedding': {
    ropeScaling: {
      type: 'llama3',
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositionEmbeddings: 16,
    },
  },
  'Llama with one layer': { numLayers: 1 },
  'Mistral with a window': { architecture: 'mistral', slidingWindow: 6 },
  Qwen2: { architecture: 'qwen2', attentionBias: true },
  Qwen3: { architecture: 'qwen3', queryKeyNorm: true, headDim: 12 },
};

describe('float32 rewards are those of the plain decoder', () => {
  test.each(Object.entries(FAMILIES))('%s', async (name, config) => {
    const model = join(root, name);
    const output = join(root, `${name}-onnx`);
    const written = writeTinyRewardModel(model, { config });
    await exportRewardModel({ model, output });
    const expected = GROUPS.map((rows) => rows.map((ids) => oracleReward(model, written, ids)));
    const scale = Math.max(...expected.flat().map(Math.abs));
    for (const share of [true, false]) {
      const scores = await scoreIds(output, GROUPS, { share });
      for (const [i, score] of scores.flat().entries()) {
        expect(Math.abs(score - (expected.flat()[i] as number)) / scale).toBeLessThan(1e-5);
      }
    }
  });
});

test('weights in bfloat16, in several files, are read', async () => {
  const model = join(root, 'shards');
  const output = join(root, 'shards-onnx');
  const config = writeTinyRewardModel(model, { dtype: 'bfloat16' });
  await exportRewardModel({ model, output });
  const [[reward = 0] = []] = await scoreIds(output, [[CONTEXT]]);
  expect(reward).toBeCloseTo(oracleReward(model, config, CONTEXT), 4);
});

test('the folder has all that scoring needs, and its weights beside the graph', async () => {
  const model = join(root, 'folder');
  const output = join(root, 'folder-onnx');
  writeTinyRewardModel(model);
  const done: number[] = [];
  const exported = await exportRewardModel(
    { model, output, recipe: { maxTokens: 64, end: 'end-of-turn' } },
    { onProgress: (bytes, total) => done.push(bytes / total) },
  );
  expect(done.at(-1)).toBe(1);
  expect(exported.recipe).toEqual(readRecipe(output));
  expect(exported.recipe).toMatchObject({ maxTokens: 64, end: 'end-of-turn', truncation: 'context' });
  for (const file of [
    'model.onnx',
    'model.onnx.data',
    'config.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'persona_template.jinja',
  ]) {
    expect(existsSync(join(output, file)), file).toBe(true);
  }
  expect(readFileSync(join(output, 'model.onnx')).byteLength).toBeLessThan(60_000);
});

/** The head's weight times the last token's hidden state. */
function oracleReward(folder: string, config: ModelConfig, ids: readonly number[]): number {
  const source = openSafetensorsFolder(folder);
  const weights = Object.fromEntries(
    [...source.tensors.values()].map(({ name, shape }) => [
      name,
      tf.tensor(readFloat32(source, name), shape),
    ]),
  );
  source.close();
  const states = decoderHiddenStates(config, weights, ids, sequenceLayout(ids.length), {
    frequencies: ropeFrequencies(config),
  });
  const last = (states.at(-1) as tf.Tensor2D).slice([ids.length - 1, 0], [1, -1]);
  const [reward = Number.NaN] = last.matMul(weights['score.weight'] as tf.Tensor2D, false, true).dataSync();
  tf.dispose([states, weights, last]);
  return reward;
}
