import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrainRewardOptions } from '../../src/train/reward/reward-options.js';
import { modelBytes, openRewardWorkshop, type RewardRun, type RewardWorkshop } from './reward-support.js';

const PROGRAM = fileURLToPath(new URL('programs/train-reward.ts', import.meta.url));

let workshop: RewardWorkshop;
beforeAll(() => {
  workshop = openRewardWorkshop();
});
afterAll(() => workshop.close());

/** Two epochs with an evaluation and a checkpoint on the way, so that all kinds of state matter. */
const options: Partial<TrainRewardOptions> = {
  maxSteps: 8,
  loggingSteps: 3,
  evalSplit: 0.25,
  evalStrategy: 'steps',
  evalSteps: 4,
  saveSteps: 2,
  lrSchedulerType: 'cosine',
  warmupSteps: 2,
  weightDecay: 0.1,
};
const MODES = [
  ['head', { mode: 'head' }],
  ['lora', { mode: 'lora', loraDropout: 0.1, loraTargetModules: 'all-linear' }],
  ['full', { mode: 'full' }],
] as const satisfies readonly (readonly [string, Partial<TrainRewardOptions>])[];

function expectEqual(a: RewardRun, b: RewardRun) {
  expect(a.rows).toEqual(b.rows);
  expect(modelBytes(a).equals(modelBytes(b))).toBe(true);
  expect(a.summary.heldOut).toEqual(b.summary.heldOut);
}

describe.each(MODES)('a run in mode %s that was stopped and went on', (mode, extra) => {
  const chosen = { ...options, ...extra };
  let whole: RewardRun;
  beforeAll(async () => {
    whole = await workshop.run(`whole-${mode}`, chosen);
  });

  it('after an interrupt equals the uninterrupted one bit for bit', async () => {
    const controller = new AbortController();
    const name = `interrupted-${mode}`;
    const stopped = await workshop.run(name, chosen, {
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === 'step' && event.step === 5) controller.abort();
      },
    });
    expect(stopped.summary).toMatchObject({
      outcome: 'interrupted',
      step: 5,
      model: null,
      adapter: null,
      onnx: null,
      heldOut: null,
    });
    expect(stopped.summary.checkpoint).toMatch(/checkpoint-5$/);
    const resumed = await workshop.run(name, { ...chosen, resumeFromCheckpoint: true });
    expect(resumed.events.find(({ type }) => type === 'step')).toMatchObject({ step: 6 });
    expectEqual(resumed, whole);
  });

  it('after kill -9 equals the uninterrupted one bit for bit', async () => {
    const name = `killed-${mode}`;
    const file = workshop.write(`${name}.json`, []);
    const run = workshop.options(name, chosen);
    writeFileSync(file, JSON.stringify(run));
    const result = spawnSync(process.execPath, ['--import', 'tsx', PROGRAM, file, '3'], { encoding: 'utf8' });
    expect(result.signal, result.stderr).toBe('SIGKILL');
    expect(existsSync(join(run.outputDir, 'model'))).toBe(false);
    const resumed = await workshop.run(name, { ...chosen, resumeFromCheckpoint: true });
    expect(resumed.events.find(({ type }) => type === 'step')).toMatchObject({ step: 3 });
    expectEqual(resumed, whole);
  });

  it('writes the best weights at the end where that is asked for, and says how they rank', async () => {
    const name = `best-${mode}`;
    const run = await workshop.run(name, {
      ...chosen,
      evalSteps: 1,
      loadBestModelAtEnd: true,
      metricForBestModel: 'eval_loss',
      lrSchedulerType: 'constant',
      // Far too high for the loss to fall all the way.
      learningRate: mode === 'head' ? 30 : 0.3,
      warmupSteps: 0,
    });
    const best = run.summary.bestCheckpoint!;
    const evaluations = run.rows.filter((row) => row.eval_loss !== undefined);
    expect(best.value).toBe(Math.min(...evaluations.map((row) => row.eval_loss as number)));
    expect(best.step).toBeLessThan(8);
    const atBest = evaluations.find((row) => row.step === best.step)!;
    const { pairs, correct } = run.summary.heldOut!;
    expect(correct / pairs).toBe(atBest.eval_accuracy);
    const saved = readFileSync(join(best.path, 'optimizer.safetensors'));
    // The head's master weight is in the saved model, byte for byte.
    expect(modelBytes(run).includes(tensorBytes(saved, 'master.score'))).toBe(true);
  });
});

function tensorBytes(file: Buffer, name: string): Buffer {
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, start)) as Record<string, { data_offsets: number[] }>;
  const [begin, end] = header[name]!.data_offsets as [number, number];
  return file.subarray(start + begin, start + end);
}

describe('a run that is interrupted while features are computed', () => {
  it('keeps those that are there, and trains when it is started again', async () => {
    const controller = new AbortController();
    const chosen: Partial<TrainRewardOptions> = {
      ...options,
      mode: 'head',
      featureCache: join(workshop.folder, 'half'),
      // One pair at a time.
      tokenBudget: 1,
    };
    const stopped = await workshop.run('features', chosen, {
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === 'features' && event.done === 10) controller.abort();
      },
    });
    expect(stopped.summary).toMatchObject({ outcome: 'interrupted', step: 0, checkpoint: null, model: null });
    const again = await workshop.run('features', { ...chosen, resumeFromCheckpoint: true });
    expect(again.events.find(({ type }) => type === 'features')).toMatchObject({ done: 10, cached: 10 });
    expect(again.summary.outcome).toBe('finished');
  });
});

describe('going on is refused', () => {
  it('with other options, or another mode, naming them', async () => {
    await workshop.run('changed', { ...options, maxSteps: 2 });
    await expect(
      workshop.run('changed', {
        ...options,
        mode: 'full',
        centerRewardsCoefficient: 0.1,
        resumeFromCheckpoint: true,
      }),
    ).rejects.toThrow(/mode was "lora", is "full"; center_rewards_coefficient was null, is 0.1/);
  });

  it('with margins that were not there', async () => {
    const pairs = workshop.write(
      'margins.jsonl',
      readFileSync(join(workshop.folder, 'pairs.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => ({ ...JSON.parse(line), margin: 0.5 })),
    );
    await expect(workshop.run('changed', { ...options, pairs, resumeFromCheckpoint: true })).rejects.toThrow(
      /other pairs/,
    );
  });
});
