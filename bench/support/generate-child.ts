/** One measurement of bench/generate in a process of its own; prints a {@link GenerateReport}. */

import { generate } from '../../src/models/generation/generate.js';
import { LanguageModel } from '../../src/models/language-model.js';
import { loadWeights } from '../../src/models/load-weights.js';
import { loadModelFiles } from '../../src/models/model-files.js';
import { startRuntime } from '../../src/runtime/runtime.js';
import { childInput } from './child.js';
import { gpuMemoryUsed } from './gpu-memory.js';
import { randomModel, SMOLLM2_135M } from './random-model.js';

export interface GenerateRequest {
  samples: number;
  promptTokens: number;
  newTokens: number;
  temperature: number;
  topP: number;
  dtype: 'bfloat16' | 'float32';
  layers: number;
  runs: number;
  device: 'auto' | 'cpu' | 'cuda';
  threads: number;
  /** Folder or GGUF file of a model; null for random weights. */
  model: string | null;
}

export interface GenerateReport {
  /** Of each run. */
  seconds: number[];
  /** From the call to the first token of each run: the prompt's share. */
  firstTokenSeconds: number[];
  peakRssBytes: number;
  /** What the GPU's memory in use grew by; null on a CPU. */
  deviceBytes: number | null;
}

const request = childInput<GenerateRequest>();
const deviceBytesBefore = gpuMemoryUsed();
const { device } = startRuntime({ device: request.device, threads: request.threads });
const model = loadModel();
const { vocabSize } = model.config;
const prompt = Array.from(
  { length: request.promptTokens },
  (_, i) => 3 + ((i * 7919 + 13) % (vocabSize - 3)),
);

const seconds: number[] = [];
const firstTokenSeconds: number[] = [];
await run(4);
for (let i = 0; i < request.runs; i++) {
  const { total, first } = await run(request.newTokens);
  seconds.push(total);
  firstTokenSeconds.push(first);
}
const report: GenerateReport = {
  seconds,
  firstTokenSeconds,
  peakRssBytes: process.resourceUsage().maxRSS * 1024,
  deviceBytes: device.includes('GPU') ? (gpuMemoryUsed() ?? 0) - (deviceBytesBefore ?? 0) : null,
};
console.log(JSON.stringify(report));

async function run(maxNewTokens: number): Promise<{ total: number; first: number }> {
  const { samples, temperature, topP } = request;
  const begun = performance.now();
  let first: number | undefined;
  const completions = await generate(model, [prompt], {
    ...{ samples, temperature, topP, maxNewTokens, maxBatch: samples },
    stopTokenIds: [],
    onToken: () => {
      first ??= (performance.now() - begun) / 1e3;
    },
  });
  if (completions[0]?.some(({ ids }) => ids.length !== maxNewTokens)) throw new Error('a sample ended early');
  return { total: (performance.now() - begun) / 1e3, first: first ?? 0 };
}

function loadModel(): LanguageModel {
  const { dtype, layers } = request;
  if (request.model === null) return randomModel({ ...SMOLLM2_135M, numLayers: layers }, dtype);
  const { config, weights } = loadModelFiles(request.model);
  try {
    return new LanguageModel(config, dtype, loadWeights(weights, config, { dtype }));
  } finally {
    weights.close();
  }
}
