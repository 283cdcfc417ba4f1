/** A reward model of SmolLM2-135M's shape with random weights, as a Hugging Face folder: nothing to download. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRandom } from '../../src/data/random.js';
import { expectedWeights, type ModelConfig, modelConfigToJson } from '../../src/models/model-config.js';
import { writeSafetensorsFolder } from '../../src/models/safetensors-write.js';

/** Standard deviation of transformers' initial weights. */
const SPREAD = 0.02;
/** Random numbers that all weights are cut from: drawing each of a hundred million anew would take a minute. */
const NUMBERS = 2 ** 20;

/** `w ~ N(0, 0.02²)`, norms 1; the same weights for the same configuration. */
export function writeRandomRewardModel(folder: string, config: ModelConfig): void {
  mkdirSync(folder, { recursive: true });
  const json = modelConfigToJson(config, { dtype: 'float32' });
  const own = { architectures: ['LlamaForSequenceClassification'], num_labels: 1, pad_token_id: 0 };
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...json, ...own }, null, 2));
  const random = createRandom(0);
  const numbers = Float32Array.from({ length: NUMBERS }, () => SPREAD * random.normal());
  const weights = [
    ...expectedWeights({ ...config, tieWordEmbeddings: true }),
    { name: 'score.weight', shape: [1, config.hiddenSize] },
  ];
  writeSafetensorsFolder(
    folder,
    weights.map(({ name, shape }, index) => ({
      name,
      dtype: 'float32' as const,
      shape,
      bytes: () => {
        const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
        if (name.endsWith('norm.weight')) values.fill(1);
        else fillFrom(values, numbers, index * 7919);
        return new Uint8Array(values.buffer);
      },
    })),
  );
}

/** Fills `values` with `numbers` again and again, each time from another place. */
function fillFrom(values: Float32Array, numbers: Float32Array, seed: number): void {
  let from = seed % numbers.length;
  for (let at = 0; at < values.length; ) {
    const part = numbers.subarray(from, from + Math.min(values.length - at, numbers.length - from));
    values.set(part, at);
    at += part.length;
    from = (from + 104_729) % numbers.length;
  }
}
