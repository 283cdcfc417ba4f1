/** Small online runs for tests: a tiny model, a few prompts, a scripted scorer, everything in one temporary folder. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RewardScorer, ScoreRequest } from '../../../src/rewards/reward-model.js';
import { type MetricsRow, readMetrics } from '../../../src/train/metrics-log.js';
import type { OnlineTrainEvent, OnlineTrainSummary } from '../../../src/train/online/events.js';
import type { OnlineTrainOptions } from '../../../src/train/online/options.js';
import { type RolloutRow, readRollouts } from '../../../src/train/online/rollout-log.js';
import { type OnlineTrainHooks, trainOnline } from '../../../src/train/online/train-online.js';
import { writeTinyModel } from '../../support/tiny-model.js';

export interface OnlineWorkshop {
  folder: string;
  /** Runs `trainOnline` on the tiny model into the folder called `name`. */
  run(name: string, options?: Partial<OnlineTrainOptions>, hooks?: OnlineTrainHooks): Promise<FinishedRun>;
  /** What `run` hands to `trainOnline`. */
  options(name: string, options?: Partial<OnlineTrainOptions>): OnlineTrainOptions;
  close(): void;
}

export interface FinishedRun {
  outputDir: string;
  summary: OnlineTrainSummary;
  /** Rows of metrics of steps, and of evaluations. */
  rows: MetricsRow[];
  evaluations: MetricsRow[];
  rollouts: RolloutRow[];
  events: OnlineTrainEvent[];
}

export const PROMPTS = ['hello', 'you there', 'the sun', 'a story', 'and then', 'stir it'].map(
  (words, i) => ({
    ...{ id: `prompt-${i}`, prompt: [{ role: 'user', content: words }] },
    ...(i % 2 === 0 && { persona: `likes the ${words}`, user: `user-${i}` }),
  }),
);

export function openOnlineWorkshop(): OnlineWorkshop {
  const folder = mkdtempSync(join(tmpdir(), 'online-'));
  writeTinyModel(join(folder, 'model'));
  mkdirSync(join(folder, 'runs'));
  const prompts = join(folder, 'prompts.jsonl');
  writeFileSync(prompts, PROMPTS.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const options = (name: string, extra: Partial<OnlineTrainOptions> = {}): OnlineTrainOptions => ({
    ...{ model: join(folder, 'model'), prompts, outputDir: join(folder, 'runs', name) },
    ...{ dtype: 'float32', learningRate: 1e-3, reportTo: 'none', seed: 7 },
    ...{
      perDeviceTrainBatchSize: 3,
      numGenerations: 4,
      maxNewTokens: 8,
      temperature: 1,
      topP: 1,
      maxSteps: 4,
    },
    ...extra,
  });
  return {
    folder,
    options,
    async run(name, extra = {}, hooks = {}) {
      const events: OnlineTrainEvent[] = [];
      const resolved = options(name, extra);
      const onEvent = (event: OnlineTrainEvent) => {
        events.push(event);
        hooks.onEvent?.(event);
      };
      const rewards = extra.rewardModel === undefined ? { scorer: vowelScorer() } : {};
      const summary = await trainOnline(resolved, { ...rewards, ...hooks, onEvent });
      const rows = readMetrics(join(resolved.outputDir, 'metrics.jsonl'));
      return {
        ...{ outputDir: resolved.outputDir, summary, events },
        rows: rows.filter((row) => 'staleness' in row),
        evaluations: rows.filter((row) => 'eval_reward' in row),
        rollouts: extra.logRollouts === false ? [] : await rolloutsOf(resolved.outputDir),
      };
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export async function rolloutsOf(outputDir: string): Promise<RolloutRow[]> {
  const rows: RolloutRow[] = [];
  for await (const row of readRollouts(outputDir)) rows.push(row);
  return rows;
}

/** A scorer that a test writes: the reward of one answer to one request. */
export function scriptedScorer(
  reward: (text: string, request: ScoreRequest) => number,
  identity = 'a script',
): RewardScorer & { requests: ScoreRequest[] } {
  const requests: ScoreRequest[] = [];
  return {
    identity,
    requests,
    async score(request) {
      requests.push(request);
      return request.candidates.map((text) => reward(text, request));
    },
  };
}

/** The share of an answer's characters that are the letters a and e. */
export function vowelScorer() {
  return scriptedScorer((text) => [...text].filter((letter) => 'ae'.includes(letter)).length / text.length);
}

/** The trained weights' bytes. */
export function weightBytes({ outputDir, summary }: FinishedRun): Buffer {
  const file = summary.weights?.kind === 'adapter' ? 'adapter_model.safetensors' : 'model.safetensors';
  return readFileSync(join(outputDir, summary.weights?.kind ?? '', file));
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
