import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeGroup } from '../../src/cli/rollouts-command.js';
import { exportRewardModel } from '../../src/rewards/export/export-reward-model.js';
import { writeTinyRewardModel } from '../rewards/tiny-reward-model.js';
import { writeTinyModel } from '../support/tiny-model.js';
import { PROMPTS } from '../train/online/support.js';
import { runCli } from './run-cli.js';

const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-train-online-'));
afterAll(() => rmSync(folder, { recursive: true }));

const prompts = join(folder, 'prompts.jsonl');
const reward = join(folder, 'reward');
const base = [
  ...['train-online', '--model', join(folder, 'model'), '--prompts', prompts, '--reward-model', reward],
  ...['--dtype', 'float32', '--use_peft', '--learning-rate', '1e-3', '--num-generations', '3'],
  ...['--per-device-train-batch-size', '2', '--max-new-tokens', '6', '--temperature', '1', '--top-p', '1'],
];
beforeAll(async () => {
  writeTinyModel(join(folder, 'model'));
  writeTinyRewardModel(join(folder, 'reward-hf'));
  await exportRewardModel({ model: join(folder, 'reward-hf'), output: reward, dtype: 'float32' });
  writeFileSync(prompts, PROMPTS.map((row) => `${JSON.stringify(row)}\n`).join(''));
});

describe('train-online', () => {
  test('trains by a reward model on ONNX Runtime, measures held-out prompts, and shows its samples', async () => {
    const out = join(folder, 'out');
    const run = await runCli([...base, '--output', out, '--max-steps', '2', '--eval-split', '0.4']);
    expect(run.code, run.stderr).toBe(0);
    expect(run.stderr).toMatch(/the reward model runs on cpu/);
    expect(run.stderr).toMatch(/held-out reward at step 0: -?[\d.]+ \(-?[\d.]+ to -?[\d.]+\)$/m);
    expect(run.stdout).toMatch(/^Finished after 2 of 2 steps on \d prompts/);
    expect(run.stdout).toMatch(/held-out reward: .*, change [+-]?[\d.e-]+ \(/);
    expect(run.stdout).toContain(`The adapter is in ${join(out, 'adapter')}.`);
    const rows = readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n');
    expect(rows.map((row) => JSON.parse(row).step)).toEqual([0, 1, 2, 2]);
    expect(readFileSync(join(out, 'config.yaml'), 'utf8')).toMatch(/^user_based_rewards: true$/m);

    const shown = await runCli(['rollouts', out, '--most', '1']);
    expect(shown.stdout).toMatch(/^After 1 steps: prompt prompt-\d/);
    expect(shown.stdout).toMatch(/^ {2}chosen \d: reward -?[\d.]+, \d tokens/m);
    const all = await runCli(['rollouts', out, '--step', '0', '--json']);
    const groups = all.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(groups.map(({ step, set }) => [step, set])).toEqual([
      [0, 'train'],
      [0, 'train'],
    ]);
  });

  test('is interrupted with what was done saved, and goes on by its configuration', async () => {
    const out = join(folder, 'interrupted');
    const long = ['--output', out, '--max-steps', '400', '--eval-on-start', 'false', '--json'];
    const stopped = await runCli([...base, ...long], {
      signalAt: { text: '"type":"step","step":2', signal: 'SIGINT', on: 'stdout' },
    });
    expect(stopped.code, stopped.stderr).toBe(130);
    const summary = JSON.parse(stopped.stdout.trim().split('\n').at(-1) as string);
    expect(summary).toMatchObject({ type: 'summary', outcome: 'interrupted', weights: null });
    expect(existsSync(summary.checkpoint)).toBe(true);
    const resume = ['--config', join(out, 'config.yaml'), '--resume-from-checkpoint', 'true'];
    const more = String(summary.step + 1);
    const resumed = await runCli(['train-online', ...resume, '--max-steps', more]);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(resumed.stderr).toContain(`going on after step ${summary.step}`);
    expect(resumed.stdout).toContain(`Finished after ${more} of ${more} steps`);
  }, 180_000);

  test('that is stopped by signs of reward hacking ends with 1', async () => {
    const out = join(folder, 'stopped');
    const guards = [
      '--on-reward-hacking',
      'stop',
      '--guard-window',
      '1',
      '--max-repetition',
      '0',
      '--max-kl',
      'none',
    ];
    const longer = ['--max-new-tokens', '64', '--num-generations', '2'];
    const run = await runCli([...base, ...longer, ...guards, '--output', out, '--max-steps', '3']);
    expect(run.stderr).toMatch(/warning at step 1: samples repeat themselves/);
    expect(run.stdout).toMatch(/^Stopped by signs of reward hacking after 1 of 3 steps/);
    expect(run.code).toBe(1);
  });

  test.each([
    [['--num-generations', '1'], /num_generations: expected a number of at least 2, got 1/],
    [['--reward-model', 'nowhere'], /reward_model: there is no folder nowhere/],
    [
      ['--bf16', 'maybe', '--use-vllm', 'true'],
      /use_vllm: true is not possible here: name the server instead/,
    ],
  ])('%j ends with 2 and says why', async (flags, message) => {
    const run = await runCli([...base, '--output', join(folder, 'never'), ...flags]);
    expect(run.code).toBe(2);
    expect(run.stderr).toMatch(message);
    expect(existsSync(join(folder, 'never'))).toBe(false);
  });
});

describe('rollouts', () => {
  test('of nothing says what was expected', async () => {
    const run = await runCli(['rollouts', folder]);
    expect(run.code).toBe(2);
    expect(run.stderr).toMatch(/there are no rollouts in .*: expected the folder of a run of train-online/);
  });

  test('show every answer where there is no pair, and no control characters', () => {
    const text = describeGroup(
      {
        ...{ step: 3, set: 'train', prompt_id: 'p', user: 'u', persona: 'likes tea', staleness: 2 },
        prompt: [{ role: 'user', content: 'tea?' }],
        completions: [
          { text: 'yes\u001b[2J', tokens: 2, finish_reason: 'stop', reward: 1 },
          { text: '', tokens: 1, finish_reason: 'length', reward: null },
        ],
        ...{ chosen: null, rejected: null, no_pair: 'too-few-answers' },
      },
      false,
    );
    expect(text).toContain('After 3 steps, of weights 2 steps older: prompt p, u');
    expect(text).toContain('no pair: too-few-answers');
    expect(text).toContain('answer 1: reward 1, 2 tokens\n    yes\ufffd[2J');
    expect(text).toContain('answer 2: reward none, no words, 1 tokens, cut');
  });
});
