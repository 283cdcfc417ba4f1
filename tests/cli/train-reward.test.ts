import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { writeTinyModel } from '../support/tiny-model.js';
import { wordPairs } from '../train/reward-support.js';
import { runCli } from './run-cli.js';

const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-train-reward-'));
afterAll(() => rmSync(folder, { recursive: true }));

const model = join(folder, 'model');
writeTinyModel(model);
const pairs = join(folder, 'pairs.jsonl');
writeFileSync(
  pairs,
  wordPairs(20)
    .map((pair) => `${JSON.stringify(pair)}\n`)
    .join(''),
);
const base = [
  'train-reward',
  '--model',
  model,
  '--pairs',
  pairs,
  '--learning_rate',
  '1e-3',
  '--dtype',
  'float32',
];

describe('train-reward', () => {
  test('trains, evaluates on users set aside, and says how far the accuracy can be trusted', async () => {
    const out = join(folder, 'out');
    const run = await runCli([...base, '--output', out, '--eval-split', '0.25', '--max-steps', '4']);
    expect(run.stderr).toContain('training on');
    expect(run.code).toBe(0);
    expect(run.stdout).toMatch(/^Finished after 4 of 4 steps on \d+ pairs/);
    expect(run.stdout).toMatch(
      /held-out accuracy: [\d.]+% \(\d+ of \d+ pairs; 95% interval [\d.]+% to [\d.]+%\)/,
    );
    for (const name of ['model', 'adapter', 'onnx']) expect(run.stdout).toContain(join(out, name));
    expect(existsSync(join(out, 'onnx', 'reward_recipe.json'))).toBe(true);
    const config = readFileSync(join(out, 'config.yaml'), 'utf8');
    expect(config).toContain('mode: lora');

    const request = join(folder, 'request.jsonl');
    const { prompt, persona } = wordPairs(1)[0]!;
    writeFileSync(request, JSON.stringify({ prompt, persona, candidates: ['the tea', 'a long time'] }));
    const scored = await runCli(['score', '--reward-model', join(out, 'onnx'), '--input', request]);
    expect(scored.code, scored.stderr).toBe(0);
  });

  test('--json gives every event and the summary', async () => {
    const out = join(folder, 'json');
    const args = ['--output', out, '--mode', 'head', '--feature-cache', join(folder, 'features')];
    const run = await runCli([
      ...base,
      ...args,
      ...[
        '--eval-split',
        '0.25',
        '--max-steps',
        '2',
        '--onnx-dtype',
        'none',
        '--json',
        '--max-length',
        '512',
      ],
    ]);
    const rows = run.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; accuracy?: { low: number; high: number } });
    expect(new Set(rows.map(({ type }) => type))).toEqual(
      new Set(['stage', 'features', 'step', 'evaluation', 'checkpoint', 'summary']),
    );
    const { low, high } = rows.at(-1)!.accuracy!;
    expect(low).toBeLessThan(high);
  });

  test("takes TRL's names, and refuses what is none", async () => {
    const wrong = await runCli([...base, '--output', join(folder, 'x'), '--beta', '0.1']);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('--beta');
    const config = join(folder, 'trl.yaml');
    writeFileSync(
      config,
      `model_name_or_path: ${model}\npairs: ${pairs}\noutput_dir: ${join(folder, 'trl')}\nuse_peft: false\nbf16: false\n` +
        'center_rewards_coefficient: 0.01\nmax_steps: 1\nmax_length: 512\nlora_task_type: SEQ_CLS\nonnx_dtype: none\n',
    );
    const run = await runCli(['train-reward', '--config', config]);
    expect(run.code, run.stderr).toBe(0);
    expect(readFileSync(join(folder, 'trl', 'config.yaml'), 'utf8')).toMatch(
      /mode: full[\s\S]*center_rewards_coefficient: 0\.01[\s\S]*dtype: float32/,
    );
  });

  test('Ctrl-C saves, says how to go on, and going on finishes', async () => {
    const out = join(folder, 'interrupted');
    const args = [
      ...base,
      '--output',
      out,
      '--max-steps',
      '400',
      '--save-steps',
      '2',
      '--onnx-dtype',
      'none',
    ];
    const stopped = await runCli(args, { signalAt: { text: 'checkpoint at step 2', signal: 'SIGINT' } });
    expect(stopped.code).toBe(130);
    expect(stopped.stdout).toContain(
      `train-reward --config ${out}/config.yaml --resume-from-checkpoint true`,
    );
    const resumed = await runCli([
      ...['train-reward', '--config', join(out, 'config.yaml'), '--resume-from-checkpoint', 'true'],
      ...['--num-train-epochs', '1', '--max-steps', '-1'],
    ]);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(existsSync(join(out, 'model'))).toBe(true);
  });
});
