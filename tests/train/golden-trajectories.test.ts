import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runsOnGpu } from '../../src/runtime/runtime.js';
import { readMetrics } from '../../src/train/metrics-log.js';
import type { TrainOptions } from '../../src/train/options.js';
import { train } from '../../src/train/train.js';
import {
  GOLDEN_NOTE,
  goldenJson,
  goldenPath,
  goldenTensors,
  idsAsTrlSawThem,
  withoutGolden,
} from '../support/golden.js';

interface Trajectory {
  pairs: Record<'prompt' | 'chosen' | 'rejected', number[]>[];
  options: Record<string, number | string>;
  steps: Record<string, number>[];
}

/** What every reference run had, and what TRL's names in its options are here. */
function optionsOf({ options }: Trajectory): Partial<TrainOptions> {
  return {
    dtype: 'float32',
    trainSamplingStrategy: 'sequential',
    maxSteps: 12,
    loggingSteps: 1,
    maxLength: null,
    learningRate: Number(options.learning_rate ?? 1e-3),
    lrSchedulerType: (options.lr_scheduler_type ?? 'constant') as 'constant',
    warmupSteps: Number(options.warmup_steps ?? 0),
    weightDecay: Number(options.weight_decay ?? 0),
    maxGradNorm: Number(options.max_grad_norm ?? 1),
    perDeviceTrainBatchSize: Number(options.per_device_train_batch_size ?? 4),
    gradientAccumulationSteps: Number(options.gradient_accumulation_steps ?? 1),
    saveStrategy: 'no',
  };
}

describe.skipIf(withoutGolden)(`trajectories of TRL 1.13 (${GOLDEN_NOTE})`, () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'trajectories-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  async function run(name: string, extra: Partial<TrainOptions> = {}) {
    const trajectory = goldenJson<Trajectory>(`${name}.trajectory.json`);
    const pairs = join(folder, `${name}.jsonl`);
    const rows = trajectory.pairs.map((pair) => ({
      prompt_ids: idsAsTrlSawThem(pair.prompt),
      chosen_ids: idsAsTrlSawThem(pair.chosen),
      rejected_ids: idsAsTrlSawThem(pair.rejected),
    }));
    writeFileSync(pairs, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const outputDir = join(folder, name);
    const options = { ...optionsOf(trajectory), referenceCache: join(folder, 'cache'), ...extra };
    await train({ model: goldenPath('smollm2'), pairs, outputDir, ...options });
    return { trajectory, outputDir, rows: readMetrics(join(outputDir, 'metrics.jsonl')) };
  }

  /** Where the policy is its reference, the two differ on a GPU in their last digits, and so does who is ahead. */
  function decidedByRounding(name: string, known: Readonly<Record<string, number>>): boolean {
    return runsOnGpu() && name === 'rewards/accuracies' && known['rewards/margins'] === 0;
  }

  function expectSame({ trajectory, rows }: Awaited<ReturnType<typeof run>>) {
    expect(rows).toHaveLength(12);
    rows.forEach((row, i) => {
      const known = trajectory.steps[i] as Record<string, number>;
      for (const [name, value] of Object.entries(known)) {
        if (decidedByRounding(name, known)) continue;
        const error = Math.abs((row[name] as number) - value);
        expect(error, `${name} at step ${i + 1}: ${row[name]} for ${value}`).toBeLessThan(
          TOLERANCES[name] ?? 3e-5 * Math.max(1, Math.abs(value)),
        );
      }
    });
  }

  it.each(['dpo-full', 'dpo-full-accum', 'dpo-full-sched'])(
    '%s: every metric of all 12 steps',
    async (name) => {
      expectSame(await run(name));
    },
  );

  it('dpo-lora: every metric, and the adapter it ends with', async () => {
    const adapter = goldenPath('dpo-lora-adapter-init');
    const result = await run('dpo-lora', { adapter, referenceAdapter: adapter });
    expectSame(result);
    const ours = goldenTensors(join(result.outputDir, 'adapter', 'adapter_model.safetensors'));
    const known = goldenTensors('dpo-lora-adapter-final/adapter_model.safetensors');
    expect(Object.keys(ours).sort()).toEqual(Object.keys(known).sort());
    for (const [name, { data }] of Object.entries(known)) {
      const worst = Math.max(
        ...Array.from(data, (value, i) => Math.abs(value - (ours[name]!.data[i] as number))),
      );
      expect(worst, name).toBeLessThan(2e-4);
    }
  });
});

/** Metrics that are no smooth function of the weights: one token more or less that is guessed right. */
const TOLERANCES: Record<string, number> = { mean_token_accuracy: 0.03 };
