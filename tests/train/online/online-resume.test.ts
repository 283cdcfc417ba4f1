import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exportRewardModel } from '../../../src/rewards/export/export-reward-model.js';
import type { OnlineTrainEvent } from '../../../src/train/online/events.js';
import type { OnlineTrainOptions } from '../../../src/train/online/options.js';
import { train } from '../../../src/train/train.js';
import { writeTinyRewardModel } from '../../rewards/tiny-reward-model.js';
import {
  type FinishedRun,
  type OnlineWorkshop,
  openOnlineWorkshop,
  scriptedScorer,
  weightBytes,
} from './support.js';

const PROGRAM = fileURLToPath(new URL('../programs/train-online.ts', import.meta.url));

let workshop: OnlineWorkshop;
let options: { full: Partial<OnlineTrainOptions>; lora: Partial<OnlineTrainOptions> };
let whole: { full: FinishedRun; lora: FinishedRun };
beforeAll(async () => {
  workshop = openOnlineWorkshop();
  // Two epochs and more, evaluations and checkpoints on the way, guards that look back: all kinds of state matter.
  const full: Partial<OnlineTrainOptions> = {
    ...{
      maxSteps: 6,
      saveSteps: 2,
      loggingSteps: 3,
      lrSchedulerType: 'cosine',
      warmupSteps: 2,
      weightDecay: 0.1,
    },
    ...{
      evalPrompts: workshop.options('').prompts,
      evalStrategy: 'steps',
      evalSteps: 3,
      numGenerationsEval: 2,
    },
    ...{ guardWindow: 2, maxKl: 0.05 },
  };
  const lora = {
    ...full,
    usePeft: true,
    loraTargetModules: 'all-linear',
    loraDropout: 0.1,
    learningRate: 1e-2,
  };
  options = { full, lora };
  whole = { full: await workshop.run('whole', full), lora: await workshop.run('whole-lora', lora) };
});
afterAll(() => workshop.close());

function expectEqual(resumed: FinishedRun, uninterrupted: FinishedRun) {
  expect(resumed.rows).toEqual(uninterrupted.rows);
  expect(resumed.evaluations).toEqual(uninterrupted.evaluations);
  expect(resumed.rollouts).toEqual(uninterrupted.rollouts);
  expect(weightBytes(resumed).equals(weightBytes(uninterrupted))).toBe(true);
  expect(resumed.summary.groups).toEqual(uninterrupted.summary.groups);
  expect(resumed.summary.warnings).toEqual(uninterrupted.summary.warnings);
}

/** Starts the run in a process of its own, which kills itself. */
function killedRun(name: string, extra: Partial<OnlineTrainOptions>, killAt: string): string {
  const file = join(workshop.folder, `${name}.json`);
  const run = workshop.options(name, extra);
  writeFileSync(file, JSON.stringify(run));
  const result = spawnSync(process.execPath, ['--import', 'tsx', PROGRAM, file, killAt], {
    encoding: 'utf8',
  });
  expect(result.signal, result.stderr).toBe('SIGKILL');
  return run.outputDir;
}

describe('an online run that was stopped and went on', () => {
  it.each([
    ['full', '3', 'at the end of a step behind a checkpoint'],
    ['lora', '4+', 'in the middle of a step'],
    ['full', '1', 'before the first checkpoint'],
  ] as const)(
    'after kill -9 equals the uninterrupted one bit for bit: %s, %s, %s',
    async (kind, killAt, _when) => {
      const name = `killed-${kind}-${killAt}`;
      const folder = killedRun(name, options[kind], killAt);
      expect(existsSync(join(folder, 'model')) || existsSync(join(folder, 'adapter'))).toBe(false);
      const resumed = await workshop.run(name, { ...options[kind], resumeFromCheckpoint: true });
      expectEqual(resumed, whole[kind]);
    },
  );

  it.each([
    ['while a step is sampled', (event: OnlineTrainEvent) => event.type === 'rollout' && event.step === 4, 4],
    [
      'while it is evaluated',
      (event: OnlineTrainEvent) => event.type === 'rollout' && event.set === 'evaluation' && event.step === 3,
      3,
    ],
    ['after a step', (event: OnlineTrainEvent) => event.type === 'step' && event.step === 5, 5],
  ])('after an interrupt %s equals the uninterrupted one bit for bit', async (when, test, step) => {
    const name = `interrupted ${when}`;
    const controller = new AbortController();
    const stopped = await workshop.run(name, options.lora, {
      signal: controller.signal,
      onEvent: (event) => {
        if (test(event)) controller.abort();
      },
    });
    expect(stopped.summary).toMatchObject({ outcome: 'interrupted', step, weights: null });
    expect(stopped.summary.checkpoint).toMatch(new RegExp(`checkpoint-${step}$`));
    const resumed = await workshop.run(name, { ...options.lora, resumeFromCheckpoint: true });
    expectEqual(resumed, whole.lora);
  });

  it('with rewards from ONNX Runtime equals the uninterrupted one bit for bit', async () => {
    const folder = join(workshop.folder, 'reward');
    writeTinyRewardModel(`${folder}-hf`);
    await exportRewardModel({ model: `${folder}-hf`, output: folder, dtype: 'float32' });
    const chosen = { ...options.lora, rewardModel: folder, maxSteps: 4 };
    const uninterrupted = await workshop.run('whole-onnx', chosen);
    const controller = new AbortController();
    await workshop.run('interrupted-onnx', chosen, {
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === 'rollout' && event.step === 2 && event.scored > 0) controller.abort();
      },
    });
    const resumed = await workshop.run('interrupted-onnx', { ...chosen, resumeFromCheckpoint: true });
    expectEqual(resumed, uninterrupted);
  });

  it('an interrupt before the first step leaves nothing to go on from, and says so', async () => {
    const run = await workshop.run('at once', options.full, { signal: AbortSignal.abort() });
    expect(run.summary).toMatchObject({ outcome: 'interrupted', step: 0, checkpoint: null });
    rmSync(run.outputDir, { recursive: true });
  });

  it('refuses other options, prompts and rewards, naming them', async () => {
    await workshop.run('changed', { ...options.full, maxSteps: 2 });
    const resume = { ...options.full, resumeFromCheckpoint: true };
    await expect(workshop.run('changed', { ...resume, beta: 0.2, numGenerations: 2 })).rejects.toThrow(
      /beta was 0.01, is 0.2.*num_generations was 4, is 2|num_generations was 4, is 2.*beta was 0.01, is 0.2/,
    );
    await expect(workshop.run('changed', { ...resume, persona: false })).rejects.toThrow(
      /other pairs|other prompts/,
    );
    const scorer = scriptedScorer(() => 1, 'another');
    await expect(workshop.run('changed', resume, { scorer })).rejects.toThrow(
      /other rewards: they came from a script, and now from another/,
    );
  });

  it('may change how often it measures, and how far it goes', async () => {
    const run = await workshop.run('changed', {
      ...{
        ...options.full,
        resumeFromCheckpoint: true,
        maxSteps: 3,
        evalStrategy: 'no',
        numGenerationsEval: 3,
      },
      lrSchedulerType: 'cosine',
    });
    expect(run.summary).toMatchObject({ outcome: 'finished', step: 3 });
    // With other samples of each prompt there is nothing to compare with.
    expect(run.evaluations.at(-1)).not.toHaveProperty('eval_reward_change');
  });

  it('is not gone on with by train, nor the other way round', async () => {
    const checkpoint = join(whole.full.outputDir, 'checkpoint-2');
    const pairs = join(workshop.folder, 'pairs.jsonl');
    writeFileSync(pairs, `${JSON.stringify({ prompt_ids: [5], chosen_ids: [6], rejected_ids: [7] })}\n`);
    const offline = { model: workshop.options('').model, pairs, dtype: 'float32' as const, maxSteps: 1 };
    const outputDir = join(workshop.folder, 'runs', 'offline');
    await train({ ...offline, outputDir, referenceCache: join(workshop.folder, 'cache') });
    await expect(train({ ...offline, outputDir, resumeFromCheckpoint: checkpoint })).rejects.toThrow(
      /other options/,
    );
    const state = join(outputDir, 'checkpoint-1', 'trainer_state.json');
    expect(JSON.parse(readFileSync(state, 'utf8'))).not.toHaveProperty('online');
    await expect(
      workshop.run('offline', { resumeFromCheckpoint: join(outputDir, 'checkpoint-1') }),
    ).rejects.toThrow(/other options/);
  });
});
