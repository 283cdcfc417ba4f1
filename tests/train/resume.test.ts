import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrainOptions } from '../../src/train/options.js';
import { type FinishedRun, openWorkshop, type Workshop, weightBytes } from './support.js';

const PROGRAM = fileURLToPath(new URL('programs/train.ts', import.meta.url));

let workshop: Workshop;
beforeAll(() => {
  workshop = openWorkshop();
});
afterAll(() => workshop.close());

/** Two epochs with an evaluation and a checkpoint on the way, so that all kinds of state matter. */
const options: Partial<TrainOptions> = {
  maxSteps: 10,
  loggingSteps: 3,
  evalSplit: 0.25,
  evalStrategy: 'steps',
  evalSteps: 4,
  saveSteps: 2,
  lrSchedulerType: 'cosine',
  warmupSteps: 2,
  weightDecay: 0.1,
};
const lora: Partial<TrainOptions> = {
  ...options,
  usePeft: true,
  loraDropout: 0.1,
  loraTargetModules: 'all-linear',
};

function expectEqual(a: FinishedRun, b: FinishedRun) {
  expect(a.rows).toEqual(b.rows);
  expect(weightBytes(a).equals(weightBytes(b))).toBe(true);
  expect(a.summary.bestCheckpoint?.value).toBe(b.summary.bestCheckpoint?.value);
}

/** Starts the run in a process of its own, which kills itself after step `killAt`. */
function killedRun(name: string, extra: Partial<TrainOptions>, killAt: number): string {
  const file = join(workshop.folder, `${name}.json`);
  const run = workshop.options(name, extra);
  writeFileSync(file, JSON.stringify(run));
  const result = spawnSync(process.execPath, ['--import', 'tsx', PROGRAM, file, String(killAt)], {
    encoding: 'utf8',
  });
  expect(result.signal, result.stderr).toBe('SIGKILL');
  return run.outputDir;
}

describe('a run that was stopped and went on', () => {
  let whole: { full: FinishedRun; lora: FinishedRun };
  beforeAll(async () => {
    whole = { full: await workshop.run('whole', options), lora: await workshop.run('whole-lora', lora) };
  });

  it.each([
    ['all weights', options, 'full'],
    ['an adapter with dropout', lora, 'lora'],
  ] as const)('after an interrupt equals the uninterrupted one bit for bit: %s', async (_, chosen, kind) => {
    const controller = new AbortController();
    const name = `interrupted-${kind}`;
    const stopped = await workshop.run(name, chosen, {
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === 'step' && event.step === 5) controller.abort();
      },
    });
    expect(stopped.summary).toMatchObject({ outcome: 'interrupted', step: 5, weights: null });
    const resumed = await workshop.run(name, { ...chosen, resumeFromCheckpoint: true });
    expect(resumed.events.find(({ type }) => type === 'step')).toMatchObject({ step: 6 });
    expectEqual(resumed, whole[kind]);
  });

  it.each([1, 4, 7])('after kill -9 at step %i equals the uninterrupted one bit for bit', async (step) => {
    const name = `killed-${step}`;
    const folder = killedRun(name, options, step);
    expect(existsSync(join(folder, 'model'))).toBe(false);
    const resumed = await workshop.run(name, { ...options, resumeFromCheckpoint: true });
    expectEqual(resumed, whole.full);
  });

  it('finds the newest whole checkpoint beside half-written ones', async () => {
    const folder = killedRun('torn', options, 7);
    mkdirSync(join(folder, '.checkpoint-8.1.tmp'));
    mkdirSync(join(folder, 'checkpoint-8'));
    const resumed = await workshop.run('torn', { ...options, resumeFromCheckpoint: true });
    expect(resumed.events.find(({ type }) => type === 'step')).toMatchObject({ step: 7 });
    expectEqual(resumed, whole.full);
  });

  it('keeps to save_total_limit, and the best checkpoint', async () => {
    const run = await workshop.run('few', { ...options, saveTotalLimit: 1, loadBestModelAtEnd: true });
    const left = readdirSync(run.outputDir).filter((name) => name.startsWith('checkpoint-'));
    const best = run.summary.bestCheckpoint;
    expect(left).toContain(`checkpoint-${best?.step}`);
    expect(left.length).toBeLessThanOrEqual(2);
    const saved = readFileSync(join(best?.path ?? '', 'model.safetensors'));
    expect(weightBytes(run).equals(saved)).toBe(true);
  });

  it('refuses to go on with other options or other pairs, naming them', async () => {
    await workshop.run('changed', { ...options, maxSteps: 2 });
    const resume = { ...options, resumeFromCheckpoint: true };
    await expect(workshop.run('changed', { ...resume, learningRate: 0.5, beta: 0.2 })).rejects.toThrow(
      /beta was 0.1, is 0.2; learning_rate was 0.001, is 0.5/,
    );
    await expect(workshop.run('changed', { ...resume, maxLength: 12 })).rejects.toThrow(/other pairs/);
  });

  it('refuses to write over another run', async () => {
    await expect(workshop.run('whole', options)).rejects.toThrow(/holds another run/);
  });

  it('ends early when the metric gets no better, and says so', async () => {
    const run = await workshop.run('patient', {
      ...options,
      maxSteps: 40,
      evalSteps: 1,
      learningRate: 1e-9,
      earlyStoppingPatience: 3,
      earlyStoppingThreshold: 0.01,
    });
    expect(run.summary.outcome).toBe('stopped-early');
    expect(run.summary.step).toBe(4);
    rmSync(run.outputDir, { recursive: true });
  });
});
