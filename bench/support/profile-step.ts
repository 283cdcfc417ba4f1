/** Where the time of one optimizer step goes. */

import { packPairs } from '../../src/data/pack.js';
import type { TokenizedPair } from '../../src/data/tokenize.js';
import type { LanguageModel } from '../../src/models/language-model.js';
import { placeBatch } from '../../src/models/packed-batch.js';
import { backward, completionScores, forward } from '../../src/models/passes.js';
import { disposeAll, tensor } from '../../src/runtime/tensor.js';
import type { AdamW } from '../../src/train/adamw.js';
import { clipFactor, GradientStore } from '../../src/train/gradient-store.js';

/** The parts in the order they run. */
export const STEP_PARTS = [
  'place',
  'layersForward',
  'headForward',
  'headBackward',
  'layersBackward',
  'norm',
  'optimizer',
] as const;
export type StepPart = (typeof STEP_PARTS)[number];

export type StepProfile = Record<StepPart, { seconds: number; cpuSeconds: number; rssBytes: number }>;

export interface ProfileOptions {
  recompute: boolean;
  padToMultipleOf: number;
}

/**
 * Runs one step part by part, with wall and processor time of each and resident memory at its end. The first gradient
 * of a layer comes when that layer is done, which counts as the head's: one of many. The loss, a
 * few numbers a pair, is left out: every token's derivative is the same constant.
 */
export async function profileStep(
  model: LanguageModel,
  pairs: readonly TokenizedPair[],
  optimizer: AdamW,
  { recompute, padToMultipleOf }: ProfileOptions,
): Promise<StepProfile> {
  const profile = {} as StepProfile;
  let begun = performance.now();
  let cpuBegun = process.cpuUsage();
  const ends = (part: StepPart) => {
    // A GPU works behind our back: reading a result waits for it.
    model.weights.finalNorm.data();
    const { user, system } = process.cpuUsage(cpuBegun);
    profile[part] = {
      seconds: (performance.now() - begun) / 1e3,
      cpuSeconds: (user + system) / 1e6,
      rssBytes: process.memoryUsage.rss(),
    };
    begun = performance.now();
    cpuBegun = process.cpuUsage();
  };

  const batch = placeBatch(model, packPairs(pairs, { padToMultipleOf }));
  ends('place');
  const state = await forward(model, batch, {
    keep: recompute ? 'inputs' : 'everything',
    adapter: model.adapter,
  });
  ends('layersForward');
  const scores = await completionScores(model, batch, state.hidden);
  ends('headForward');
  const count = batch.batch.labels.length;
  const dLogps = tensor('float32', [count], new Float32Array(count).fill(1e-3));
  const gradients = new GradientStore();
  await backward(model, batch, state, scores, dLogps, (id, gradient, rows) => {
    if (!('headBackward' in profile) && id.startsWith('layers.')) ends('headBackward');
    gradients.add(id, gradient, rows);
  });
  ends('layersBackward');
  const norm = gradients.norm();
  const factor = clipFactor(norm, 1);
  ends('norm');
  optimizer.step(gradients, 1e-6, factor);
  ends('optimizer');
  disposeAll([norm, factor, dLogps, scores, batch.tensors]);
  gradients.dispose();
  return profile;
}
