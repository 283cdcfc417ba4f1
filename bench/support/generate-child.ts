/** One measurement of bench/generate in a process of its own; prints a {@link GenerateReport}. */

import { generate } from '../../src/models/generation/generate.js';
import { startRuntime } from '../../src/runtime/runtime.js';
import { childInput } from './child.js';
import { type GenerationModelRequest, generationModel, somePrompt } from './generation-model.js';
import { gpuMemoryUsed } from './gpu-memory.js';

export interface GenerateRequest extends GenerationModelRequest {
  samples: number;
  promptTokens: number;
  newTokens: number;
  temperature: number;
  topP: number;
  runs: number;
  device: 'auto' | 'cpu' | 'cuda';
  threads: number;
}

export interface GenerateReport {
  /** Of each run. */
  seconds: number[];
  /** Processor time of each run, over all threads. */
  cpuSeconds: number[];
  /** From the call to the first token of each run: the prompt's share. */
  firstTokenSeconds: number[];
  peakRssBytes: number;
  /** What the GPU's memory in use grew by; null on a CPU. */
  deviceBytes: number | null;
}

const request = childInput<GenerateRequest>();
const deviceBytesBefore = gpuMemoryUsed();
const { device } = startRuntime({ device: request.device, threads: request.threads });
const model = generationModel(request);
const prompt = somePrompt(request.promptTokens, model.config.vocabSize);

const seconds: number[] = [];
const cpuSeconds: number[] = [];
const firstTokenSeconds: number[] = [];
await run(4);
for (let i = 0; i < request.runs; i++) {
  const cpuBegun = process.cpuUsage();
  const { total, first } = await run(request.newTokens);
  const { user, system } = process.cpuUsage(cpuBegun);
  seconds.push(total);
  cpuSeconds.push((user + system) / 1e6);
  firstTokenSeconds.push(first);
}
const report: GenerateReport = {
  seconds,
  cpuSeconds,
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
