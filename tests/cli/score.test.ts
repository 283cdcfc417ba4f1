import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exportRewardModel } from '../../src/rewards/export/export-reward-model.js';
import { writeTinyRewardModel } from '../rewards/tiny-reward-model.js';
import { runCli } from './run-cli.js';

const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-score-'));
const hf = join(folder, 'hf');
const model = join(folder, 'onnx');
const input = join(folder, 'rows.jsonl');
beforeAll(async () => {
  writeTinyRewardModel(hf);
  await exportRewardModel({ model: hf, output: model });
  const prompt = [{ role: 'user', content: 'Tell me of the sea.' }];
  const answer = (content: string) => [{ role: 'assistant', content }];
  const rows = [
    { id: 'a', prompt, persona: 'Likes numbers.', candidates: ['It is wide.', 'Three fish.', 'No.'] },
    { prompt, candidates: [] },
    { id: 'b', prompt, persona: 'P', user: 'u', chosen: answer('Good.'), rejected: answer('Bad one.') },
    { id: 'c', prompt: 'Hi', chosen: 'Hello!', rejected: 'Go away.' },
    { prompt, candidates: ['far too long '.repeat(60)] },
    { prompt: [{ role: 'user', content: 'long '.repeat(200) }], candidates: ['Yes.'] },
  ];
  writeFileSync(input, `${rows.map((row) => JSON.stringify(row)).join('\n')}\nnonsense\n`);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Of a test that starts the command several times, on a machine that has other things to do. */
const SEVERAL_STARTS_MS = 240_000;

const lines = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const score = (...args: string[]) =>
  runCli(['score', '--reward-model', model, '--threads', '1', '--input', input, ...args]);

describe('score', () => {
  test(
    'gives every row its rewards, sets bad ones aside, and asks for nothing twice',
    async () => {
      const output = join(folder, 'scored.jsonl');
      const first = await score('--output', output, '--json');
      expect(first.stderr).toContain('rows.jsonl:2: candidates: expected at least one answer');
      expect(first.code).toBe(0);
      expect(JSON.parse(first.stdout)).toMatchObject({
        rows: 4,
        candidates: 8,
        pairs: { pairs: 2 },
        counts: { in: 7, out: 4, dropped: { 'bad-row': 2, 'cannot-be-scored': 1 } },
        usage: { candidates: 8, cached: 0, truncated: 1 },
        executionProvider: 'cpu',
      });
      const scored = lines(readFileSync(output, 'utf8'));
      expect(scored.map(({ id }) => id)).toEqual(['a', 'b', 'c', undefined]);
      expect(scored.map(({ rewards }) => (rewards as number[]).length)).toEqual([3, 2, 2, 1]);
      const [chosen, rejected] = (scored[1]?.rewards ?? []) as number[];
      expect(scored[1]).toMatchObject({ user: 'u', persona: 'P', scores: { chosen, rejected } });
      const aside = lines(readFileSync(`${output}.quarantine.jsonl`, 'utf8'));
      expect(aside.map(({ line }) => line)).toEqual([2, 5, 7]);

      const again = await score('--output', output, '--json');
      expect(JSON.parse(again.stdout)).toMatchObject({ candidates: 8, usage: { candidates: 0, cached: 8 } });
      expect(lines(readFileSync(output, 'utf8'))).toEqual(scored);
    },
    SEVERAL_STARTS_MS,
  );

  test(
    'without personas gives other rewards to rows that have one, and to no others',
    async () => {
      const withPersonas = lines((await score()).stdout);
      const without = await score('--no-persona');
      expect(without.stderr).toMatch(/8 candidates of 4 rows scored on cpu .*without personas/);
      expect(without.stderr).toMatch(/in \d of 2 pairs.*accuracy \d+\.\d% \(95% interval/);
      const rewards = lines(without.stdout).map((row) => row.rewards);
      expect(rewards[0]).not.toEqual(withPersonas[0]?.rewards);
      const before = (withPersonas[2]?.rewards ?? []) as number[];
      // Not to the last bit: rows that are computed together differ in length.
      for (const [i, reward] of (rewards[2] as number[]).entries()) {
        expect(reward).toBeCloseTo(before[i] as number, 4);
      }
      expect(existsSync(join(folder, 'undefined.rewards.lmdb'))).toBe(false);
    },
    SEVERAL_STARTS_MS,
  );

  test(
    'says what is wrong',
    async () => {
      const cuda = await score('--execution-provider', 'cuda');
      expect([cuda.code, cuda.stdout]).toEqual([2, '']);
      expect(cuda.stderr).toMatch(/^error: The CUDA execution provider cannot be used/);
      const bad = join(folder, 'bad.jsonl');
      writeFileSync(bad, '{"prompt": "Hi", "candidates": [""]}\n');
      const none = await runCli(['score', '--reward-model', model, '--input', bad]);
      expect([none.code, none.stderr]).toEqual([
        1,
        expect.stringContaining('none of its 1 rows can be scored: 1 x bad-row'),
      ]);
    },
    SEVERAL_STARTS_MS,
  );
});

describe('export-reward', () => {
  test(
    'writes a folder that score takes, by flags and a recipe file',
    async () => {
      const output = join(folder, 'made');
      const recipe = join(folder, 'recipe.json');
      writeFileSync(recipe, '{"maxTokens": 100, "truncation": "end"}');
      const flags = ['--model', hf, '--output', output, '--dtype', 'int8', '--recipe', recipe];
      const { code, stdout } = await runCli(['export-reward', ...flags, '--recipe-max-tokens', '200']);
      expect(code).toBe(0);
      expect(stdout).toMatch(/sequence-classification, 0\.0 million parameters in int8/);
      const written = JSON.parse(readFileSync(join(output, 'reward_recipe.json'), 'utf8'));
      expect(written).toMatchObject({ maxTokens: 200, truncation: 'end', head: { dtype: 'int8' } });
      const scored = await runCli(['score', '--reward-model', output, '--input', input, '--threads', '1']);
      expect(scored.code).toBe(0);
    },
    SEVERAL_STARTS_MS,
  );

  test('names file and key of a bad recipe', async () => {
    const recipe = join(folder, 'bad-recipe.json');
    writeFileSync(recipe, '{"maxTokens": "many"}');
    const flags = ['--model', hf, '--output', join(folder, 'never'), '--recipe', recipe];
    const { code, stderr } = await runCli(['export-reward', ...flags]);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/bad-recipe\.json: maxTokens/)]);
    expect(existsSync(join(folder, 'never'))).toBe(false);
  });
});
