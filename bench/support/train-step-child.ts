/** One configuration of bench/train-step in a process of its own; prints a {@link StepReport}. */

import { createRandom } from '../../src/data/random.js';
import type { TokenizedPair } from '../../src/data/tokenize.js';
import { createLoraAdapter } from '../../src/models/create-adapter.js';
import type { LanguageModel } from '../../src/models/language-model.js';
import { runsOnGpu } from '../../src/runtime/runtime.js';
import { useTensorflowBackend } from '../../src/runtime/tfjs/backend.js';
import { AdamW } from '../../src/train/adamw.js';
import { clipFactor, GradientStore } from '../../src/train/gradient-store.js';
import { trainOnPairs } from '../../src/train/preference-pass.js';
import { trainableParameters } from '../../src/train/trainable-parameters.js';
import { childInput } from './child.js';
import type { PairLengths } from './flops.js';
import { gpuMemoryUsed } from './gpu-memory.js';
import { profileStep, type StepProfile } from './profile-step.js';
import { randomModel, SHAPES, type ShapeName } from './random-model.js';

export interface StepConfiguration {
  dtype: 'bfloat16' | 'float32';
  /** Rank of a LoRA adapter on all linear layers; 0 for full fine-tuning. */
  loraRank: number;
  recompute: boolean;
  /** What the optimizer keeps its moments in. */
  moments: 'float32' | '8bit';
  xla: boolean;
}

export interface StepRequest {
  configuration: StepConfiguration;
  shape: ShapeName;
  pairs: readonly PairLengths[];
  layers: number;
  warmup: number;
  steps: number;
  device: 'auto' | 'cpu' | 'cuda';
  threads: number;
  profile: boolean;
}

export interface StepReport {
  /** Of each step after the warm-up. */
  seconds: number[];
  /** Processor time of each, over all threads: what a busy machine does not change much. */
  cpuSeconds: number[];
  peakRssBytes: number;
  /** What the GPU's memory in use grew by; null on a CPU. */
  deviceBytes: number | null;
  profile: StepProfile | null;
}

/** Packed rows are a multiple of this where shapes are compiled. */
const COMPILED_MULTIPLE = 64;

const request = childInput<StepRequest>();
const { configuration } = request;
const shape = SHAPES[request.shape];
const deviceBytesBefore = gpuMemoryUsed();
await useTensorflowBackend({ device: request.device, threads: request.threads });
const onGpu = runsOnGpu();

const model = randomModel({ ...shape, numLayers: request.layers }, configuration.dtype, {
  xla: configuration.xla,
  // As `train` keeps the weights it trains.
  ...(configuration.loraRank === 0 && { weightDtype: 'float32' as const }),
});
if (configuration.loraRank > 0) {
  const rank = configuration.loraRank;
  model.attach(createLoraAdapter(model, { rank, alpha: 2 * rank, targetModules: 'all-linear' }));
}
const pairs = randomPairs(request.pairs);
const options = {
  loss: { beta: 0.1 },
  tokenBudget: Number.MAX_SAFE_INTEGER,
  padToMultipleOf: configuration.xla ? COMPILED_MULTIPLE : 1,
};
const optimizer = new AdamW(trainableParameters(model), {
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
  moments: configuration.moments,
});

const seconds: number[] = [];
const cpuSeconds: number[] = [];
for (let step = 0; step < request.warmup + request.steps; step++) {
  const begun = performance.now();
  const cpuBegun = process.cpuUsage();
  await optimizerStep();
  waitForDevice(model);
  if (step < request.warmup) continue;
  const { user, system } = process.cpuUsage(cpuBegun);
  seconds.push((performance.now() - begun) / 1e3);
  cpuSeconds.push((user + system) / 1e6);
}
const peakRssBytes = process.resourceUsage().maxRSS * 1024;
const deviceBytes = onGpu ? (gpuMemoryUsed() ?? 0) - (deviceBytesBefore ?? 0) : null;
const profile = request.profile
  ? await profileStep(model, pairs, optimizer, { recompute: configuration.recompute, ...options })
  : null;
const report: StepReport = { seconds, cpuSeconds, peakRssBytes, deviceBytes, profile };
console.log(JSON.stringify(report));

async function optimizerStep(): Promise<void> {
  const gradients = new GradientStore();
  await trainOnPairs(model, pairs, reference, options, {
    recompute: () => configuration.recompute,
    weight: 1,
    sink: (...gradient) => gradients.add(...gradient),
  });
  const norm = gradients.norm();
  const factor = clipFactor(norm, 1);
  optimizer.step(gradients, 1e-6, factor);
  for (const each of [norm, factor, gradients]) each.dispose();
}

/** A GPU works behind our back: what is read last is ready only when all before it is. */
function waitForDevice({ weights }: LanguageModel): void {
  weights.finalNorm.data();
}

/** Log-probabilities of a model that knows nothing. */
function reference({ chosenIds, rejectedIds }: TokenizedPair) {
  const logp = -Math.log(shape.vocabSize);
  return {
    chosen: new Float32Array(chosenIds.length).fill(logp),
    rejected: new Float32Array(rejectedIds.length).fill(logp),
  };
}

function randomPairs(lengths: readonly PairLengths[]): TokenizedPair[] {
  return lengths.map(([prompt, chosen, rejected], index) => {
    const random = createRandom(index);
    const ids = (count: number) => Array.from({ length: count }, () => 3 + random.int(shape.vocabSize - 3));
    return {
      id: String(index),
      promptIds: ids(prompt),
      chosenIds: ids(chosen),
      rejectedIds: ids(rejected),
    };
  });
}
