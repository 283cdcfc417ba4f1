import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
});
