import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { quickstartFolder } from '../../src/cli/quickstart-data.js';
import { locateSmolLm2 } from '../../src/runtime/install/location.js';
import { runCli } from './run-cli.js';

const model = locateSmolLm2() ?? '';
const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-models-'));
afterAll(() => rmSync(folder, { recursive: true }));

const rows = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe.skipIf(model === '')('with SmolLM2-135M-Instruct (needs `persona-dpo setup --model`)', () => {
  const pairs = join(folder, 'pairs.jsonl');
  const [first = '', second = ''] = readFileSync(join(quickstartFolder(), 'held-out.jsonl'), 'utf8').split(
    '\n',
  );
  writeFileSync(pairs, `${first}\nnonsense\n${second}\n`);
  const good = join(folder, 'good.jsonl');
  writeFileSync(good, `${first}\n${second}\n`);

  test('logps gives sums that are those of its tokens, and prefers the swapped answer', async () => {
    const { code, stdout, stderr } = await runCli([
      'logps',
      '--model',
      model,
      '--pairs',
      good,
      '--per-token',
    ]);
    expect(stderr).toContain('2/2 pairs');
    expect(code).toBe(0);
    const [one, other] = rows(stdout);
    for (const row of [one, other]) {
      const tokens = row?.chosen_token_logps as number[];
      expect(tokens).toHaveLength(row?.chosen_tokens as number);
      expect(row?.chosen_ids).toHaveLength(tokens.length);
      expect(tokens.reduce((sum, value) => sum + value, 0)).toBeCloseTo(row?.chosen_logps as number, 3);
      expect(Math.max(...tokens)).toBeLessThanOrEqual(0);
    }
    // The two rows hold the same answers the other way round; only the persona differs.
    expect(one?.chosen_ids).toEqual(other?.rejected_ids);
    expect(one?.chosen_logps).not.toBe(other?.rejected_logps);
  });

  test('without personas the two rows say the same', async () => {
    const { stdout } = await runCli([
      'logps',
      '--model',
      model,
      '--pairs',
      good,
      '--no-persona',
      '--dtype',
      'float32',
    ]);
    const [one, other] = rows(stdout);
    expect(one?.chosen_logps).toBeCloseTo(other?.rejected_logps as number, 2);
    expect(one?.prompt_tokens).toBe(other?.prompt_tokens);
  });

  test('too many bad rows end with 1 and are counted', async () => {
    const { code, stdout, stderr } = await runCli(['logps', '--model', model, '--pairs', pairs]);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/1 of 3/);
    expect(code).toBe(1);
  });

  test('generate answers a file of prompts, as many times as asked, the same with the same seed', async () => {
    const args = ['generate', '--model', model, '--prompts', good, '--samples', '2', '--max-new-tokens', '8'];
    const sampled = [...args, '--temperature', '1', '--seed', '3', '--json'];
    const [one, other] = await Promise.all([runCli(sampled), runCli(sampled)]);
    expect(one.code).toBe(0);
    expect(one.stdout).toBe(other.stdout);
    const answers = rows(one.stdout) as {
      persona: string;
      completions: { text: string; tokens: number; finish_reason: string }[];
    }[];
    expect(answers).toHaveLength(2);
    for (const { persona, completions } of answers) {
      expect(persona).toMatch(/^- /);
      expect(completions).toHaveLength(2);
      expect(completions[0]?.text).not.toBe(completions[1]?.text);
      for (const { tokens } of completions) expect(tokens).toBeLessThanOrEqual(8);
    }
  });

  test('generate streams the answer to what comes on standard input, and stops before a stop text', async () => {
    const args = ['generate', '--model', model, '--max-new-tokens', '24'];
    const input = 'What is the capital of France?\n';
    const whole = (await runCli(args, { input })).stdout.trimEnd();
    const stop = whole.split(/\s+/)[2] ?? '';
    expect(stop).not.toBe('');
    const cut = await runCli([...args, '--stop', stop], { input });
    expect(cut.stdout.trimEnd()).toBe(whole.slice(0, whole.indexOf(stop)).trimEnd());
  });

  test('chat remembers the conversation until it is reset', async () => {
    const input = 'My name is Ada.\n/persona likes maths\nWhat is my name?\n/reset\n/exit\n';
    const args = ['chat', '--model', model, '--temperature', '0', '--max-new-tokens', '16'];
    const { code, stdout, stderr } = await runCli(args, { input });
    expect(code).toBe(0);
    expect(stdout).toContain('Ada');
    expect(stderr).toContain('persona: likes maths');
  });

  test('train, interrupted, saves and says how to go on; resumed, it ends and its adapter can be merged', async () => {
    const out = join(folder, 'run');
    const args = ['train', '--model', model, '--pairs', good, '--output', out, '--use_peft', '--lora_r', '2'];
    const options = [
      '--max-steps',
      '3',
      '--per-device-train-batch-size',
      '2',
      '--reference-cache',
      join(folder, 'cache'),
    ];
    const interrupted = await runCli([...args, ...options], {
      signalAt: { text: 'step 1/3', signal: 'SIGINT' },
    });
    expect(interrupted.stderr).toContain('Stopping after this step and saving');
    expect(interrupted.code).toBe(130);
    const command = /persona-dpo (train --config .+)$/m.exec(interrupted.stdout)?.[1] ?? '';
    const resumed = await runCli([...command.split(' '), '--json']);
    expect(resumed.code).toBe(0);
    const events = rows(resumed.stdout);
    expect(events.at(-1)).toMatchObject({ type: 'summary', outcome: 'finished', step: 3, maxSteps: 3 });
    expect(events.filter(({ type }) => type === 'step').length).toBeLessThan(3);

    const merged = join(folder, 'merged');
    const merge = await runCli([
      'merge',
      '--model',
      model,
      '--adapter',
      join(out, 'adapter'),
      '--output',
      merged,
    ]);
    expect(merge.code).toBe(0);
    expect(readdirSync(merged)).toContain('config.json');
  });
});
