/** A small random reward model as a Hugging Face folder, with a real tokenizer. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRandom } from '../../src/data/random.js';
import type { ModelConfig } from '../../src/models/model-config.js';
import { openSafetensorsFolder } from '../../src/models/safetensors.js';
import { writeSafetensorsFolder } from '../../src/models/safetensors-write.js';
import { type TinyModelOptions, writeTinyModel } from '../support/tiny-model.js';

export interface TinyRewardModelOptions extends TinyModelOptions {
  /** Name of the head's weight. Default `score.weight`. */
  head?: 'score.weight' | 'v_head.weight';
  /** Numbers that the head gives. Default 1. */
  labels?: number;
  /** What a number of the head becomes. Default: itself. */
  headValue?: (value: number) => number;
}

const CLASSES = { llama: 'Llama', mistral: 'Mistral', qwen2: 'Qwen2', qwen3: 'Qwen3' } as const;

export function writeTinyRewardModel(folder: string, options: TinyRewardModelOptions = {}): ModelConfig {
  const { head = 'score.weight', labels = 1, headValue = (value) => value, seed = 1 } = options;
  const config = writeTinyModel(folder, options);
  const path = join(folder, 'config.json');
  const json = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  const architectures = [`${CLASSES[config.architecture]}ForSequenceClassification`];
  writeFileSync(path, JSON.stringify({ ...json, architectures, num_labels: labels }));
  const source = openSafetensorsFolder(folder);
  const tensors = [...source.tensors.values()].map((info) => {
    const bytes = new Uint8Array(info.byteLength);
    source.read(info.name, bytes);
    return { ...info, bytes: () => bytes };
  });
  source.close();
  const random = createRandom(seed, 1000);
  const values = Float32Array.from({ length: labels * config.hiddenSize }, () => headValue(random.normal()));
  writeSafetensorsFolder(folder, [
    ...tensors,
    {
      name: head,
      dtype: 'float32',
      shape: [labels, config.hiddenSize],
      bytes: () => new Uint8Array(values.buffer),
    },
  ]);
  return config;
}
