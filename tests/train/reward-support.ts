/** Small runs of `trainReward` for tests: a tiny model, pairs, everything in one temporary folder. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRandom } from '../../src/data/random.js';
import { type MetricsRow, readMetrics } from '../../src/train/metrics-log.js';
import type {
  TrainRewardEvent,
  TrainRewardHooks,
  TrainRewardSummary,
} from '../../src/train/reward/events.js';
import type { TrainRewardOptions } from '../../src/train/reward/reward-options.js';
import { trainReward } from '../../src/train/reward/train-reward.js';
import { writeTinyModel } from '../support/tiny-model.js';

export interface RewardWorkshop {
  folder: string;
  /** Writes rows into a file and gives its path. */
  write(name: string, rows: readonly object[]): string;
  options(name: string, options?: Partial<TrainRewardOptions>): TrainRewardOptions;
  run(name: string, options?: Partial<TrainRewardOptions>, hooks?: TrainRewardHooks): Promise<RewardRun>;
  close(): void;
}

export interface RewardRun {
  outputDir: string;
  summary: TrainRewardSummary;
  rows: MetricsRow[];
  events: TrainRewardEvent[];
}

/** A tiny model, and pairs in words of users with personas. */
export function openRewardWorkshop(count = 24): RewardWorkshop {
  const folder = mkdtempSync(join(tmpdir(), 'reward-training-'));
  writeTinyModel(join(folder, 'model'));
  mkdirSync(join(folder, 'runs'));
  const write = (name: string, rows: readonly object[]) => {
    const path = join(folder, name);
    writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return path;
  };
  const pairs = write('pairs.jsonl', wordPairs(count));
  const options = (name: string, extra: Partial<TrainRewardOptions> = {}): TrainRewardOptions => ({
    model: join(folder, 'model'),
    pairs,
    outputDir: join(folder, 'runs', name),
    featureCache: join(folder, 'features'),
    dtype: 'float32',
    learningRate: 1e-3,
    perDeviceTrainBatchSize: 4,
    loggingSteps: 1,
    maxSteps: 6,
    onnxDtype: 'none',
    ...extra,
  });
  return {
    folder,
    write,
    options,
    async run(name, extra = {}, hooks = {}) {
      const events: TrainRewardEvent[] = [];
      const given = options(name, extra);
      const summary = await trainReward(given, {
        ...hooks,
        onEvent: (event) => {
          events.push(event);
          hooks.onEvent?.(event);
        },
      });
      const rows = readMetrics(join(given.outputDir, 'metrics.jsonl'));
      return { outputDir: given.outputDir, summary, events, rows };
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

const WORDS = 'the tea is hot and you wait for a long time in the rain with one other person'.split(' ');

/** Requests with a short and a long answer, of users who want the one or the other and say so in their persona. */
export function wordPairs(count: number, seed = 1) {
  const random = createRandom(seed);
  const words = (length: number) =>
    Array.from({ length }, () => WORDS[random.int(WORDS.length)] as string).join(' ');
  return Array.from({ length: count }, (_, i) => {
    const [short, long] = [words(2 + random.int(2)), words(8 + random.int(4))];
    const brief = i % 2 === 0;
    return {
      id: `pair-${i}`,
      user: `user-${i % 8}`,
      persona: brief ? 'wants it short' : 'likes to read',
      prompt: [{ role: 'user', content: `${words(3)}?` }],
      chosen: [{ role: 'assistant', content: brief ? short : long }],
      rejected: [{ role: 'assistant', content: brief ? long : short }],
    };
  });
}

/** The saved weights' bytes. */
export function modelBytes({ summary }: RewardRun): Buffer {
  return readFileSync(join(summary.model ?? '', 'model.safetensors'));
}
