/** Small runs of `train` for tests: a tiny model, rows of token ids, everything in one temporary folder. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TrainEvent } from '../../src/train/events.js';
import { type MetricsRow, readMetrics } from '../../src/train/metrics-log.js';
import type { TrainOptions } from '../../src/train/options.js';
import { type TrainHooks, train } from '../../src/train/train.js';
import { writeTinyModel } from '../support/tiny-model.js';
import { randomPairs } from './random-pairs.js';

export interface Workshop {
  folder: string;
  /** Runs `train` on the tiny model into the folder called `name`. */
  run(name: string, options?: Partial<TrainOptions>, hooks?: TrainHooks): Promise<FinishedRun>;
  /** What `run` hands to `train`. */
  options(name: string, options?: Partial<TrainOptions>): TrainOptions;
  close(): void;
}

export interface FinishedRun {
  outputDir: string;
  summary: Awaited<ReturnType<typeof train>>;
  rows: MetricsRow[];
  events: TrainEvent[];
}

/** A tiny model and `count` random pairs, as a file of rows. */
export function openWorkshop(count = 24): Workshop {
  const folder = mkdtempSync(join(tmpdir(), 'training-'));
  writeTinyModel(join(folder, 'model'));
  mkdirSync(join(folder, 'runs'));
  const rows = randomPairs(count).map(({ id, promptIds, chosenIds, rejectedIds }) => ({
    id,
    prompt_ids: promptIds,
    chosen_ids: chosenIds,
    rejected_ids: rejectedIds,
  }));
  const pairs = join(folder, 'pairs.jsonl');
  writeFileSync(pairs, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const options = (name: string, extra: Partial<TrainOptions> = {}): TrainOptions => ({
    model: join(folder, 'model'),
    pairs,
    outputDir: join(folder, 'runs', name),
    referenceCache: join(folder, 'cache'),
    dtype: 'float32',
    learningRate: 1e-3,
    perDeviceTrainBatchSize: 4,
    loggingSteps: 1,
    maxSteps: 8,
    ...extra,
  });
  return {
    folder,
    options,
    async run(name, extra = {}, hooks = {}) {
      const events: TrainEvent[] = [];
      const { outputDir, ...rest } = options(name, extra);
      const onEvent = (event: TrainEvent) => {
        events.push(event);
        hooks.onEvent?.(event);
      };
      const summary = await train({ outputDir, ...rest }, { ...hooks, onEvent });
      return { outputDir, summary, events, rows: readMetrics(join(outputDir, 'metrics.jsonl')) };
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The trained weights' bytes. */
export function weightBytes({ outputDir, summary }: FinishedRun): Buffer {
  const file = summary.weights?.kind === 'adapter' ? 'adapter_model.safetensors' : 'model.safetensors';
  return readFileSync(join(outputDir, summary.weights?.kind ?? '', file));
}
