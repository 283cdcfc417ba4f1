/** Many prompts and samples of different lengths, with and without refilling the batch; prints a {@link MixedReport}. */

import { createRandom } from '../../src/data/random.js';
import { generate } from '../../src/models/generation/generate.js';
import { startRuntime } from '../../src/runtime/runtime.js';
import { childInput } from './child.js';
import { type GenerationModelRequest, generationModel, somePrompt } from './generation-model.js';

export interface MixedRequest extends GenerationModelRequest {
  prompts: number;
  samples: number;
  /** The longest; lengths are spread evenly, of prompts from a quarter of it, of samples from a tenth. */
  promptTokens: number;
  newTokens: number;
  maxBatch: number;
  temperature: number;
  topP: number;
  device: 'auto' | 'cpu' | 'cuda';
  threads: number;
}

export interface MixedReport {
  /** Of all samples together. */
  tokens: number;
  /** Samples that wait take the places of those that have ended. */
  refilledSeconds: number;
  /** As many prompts as the batch has places for at a time; the next when the last of their samples has ended. */
  batchedSeconds: number;
}

const request = childInput<MixedRequest>();
startRuntime({ device: request.device, threads: request.threads });
const model = generationModel(request);
const random = createRandom(0);
const between = (least: number, most: number) => least + random.int(most - least + 1);
const prompts = Array.from({ length: request.prompts }, (_, seed) =>
  somePrompt(
    between(Math.ceil(request.promptTokens / 4), request.promptTokens),
    model.config.vocabSize,
    seed,
  ),
);
const lengths = prompts.map(() =>
  Array.from({ length: request.samples }, () =>
    between(Math.ceil(request.newTokens / 10), request.newTokens),
  ),
);
const all = prompts.map((_, prompt) => prompt);
const together = Math.max(1, Math.floor(request.maxBatch / request.samples));

await seconds(() => run(all.slice(0, together), 2));
const refilledSeconds = await seconds(() => run(all));
const batchedSeconds = await seconds(async () => {
  for (let begin = 0; begin < all.length; begin += together) await run(all.slice(begin, begin + together));
});
const report: MixedReport = {
  tokens: lengths.flat().reduce((sum, length) => sum + length, 0),
  refilledSeconds,
  batchedSeconds,
};
console.log(JSON.stringify(report));

async function run(chosen: readonly number[], most = request.newTokens): Promise<void> {
  const { samples, temperature, topP, maxBatch } = request;
  const counts = chosen.map(() => new Int32Array(samples));
  await generate(
    model,
    chosen.map((prompt) => prompts[prompt]!),
    {
      ...{ samples, temperature, topP, maxBatch, maxNewTokens: most, stopTokenIds: [] },
      onToken({ prompt, sample, stop }) {
        counts[prompt]![sample]! += 1;
        if (counts[prompt]![sample] === lengths[chosen[prompt]!]![sample]) stop();
      },
    },
  );
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1e3;
}
