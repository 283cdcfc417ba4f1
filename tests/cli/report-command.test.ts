import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { quickstartEvaluation } from '../../src/cli/quickstart-evaluation.js';
import { evaluationResultSchema } from '../../src/eval/results.js';
import { temporaryFolder } from '../run/toy-stages.js';
import { runCli } from './run-cli.js';

describe('persona-dpo report', () => {
  test('writes a page and says where it is', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'config.yaml'), 'model: tiny\n');
    writeFileSync(join(folder, 'metrics.jsonl'), '{"step":1,"loss":0.7}\n{"step":2,"loss":0.6}\n');
    const plain = await runCli(['report', folder]);
    expect(plain.code, plain.stderr).toBe(0);
    expect(plain.stdout).toBe(`Report:   ${folder}/report.html\nDrawings: ${folder}/report-plots\n`);
    expect(plain.stderr).toContain('drawing 100%');
    const output = join(folder, 'page.html');
    const json = await runCli(['report', folder, '--output', output, '--pairs', '0', '--json']);
    expect(JSON.parse(json.stdout)).toEqual({
      html: output,
      plotsFolder: join(folder, 'page-plots'),
      plots: [join(folder, 'page-plots', 'run-1-loss.svg'), join(folder, 'page-plots', 'run-1-loss.png')],
    });
    expect(existsSync(output)).toBe(true);
  });

  test('ends with 2 where there is no run, and for what is no number', async () => {
    const folder = temporaryFolder();
    const none = await runCli(['report', folder]);
    expect([none.code, none.stderr]).toEqual([
      2,
      expect.stringContaining(`${folder} is not the folder of a run`),
    ]);
    const number = await runCli(['report', folder, '--pairs', 'many']);
    expect([number.code, number.stderr]).toEqual([
      2,
      expect.stringContaining('Expected a whole number from 0'),
    ]);
  });
});

test("what the quickstart found is an evaluation, with Wilson's intervals", () => {
  const scores = {
    pairs: 30,
    accuracy: { before: 0.5, after: 1 },
    pull: { before: 1, after: 2 },
    rewardAccuracy: 0.7,
    rewardMargin: 0.2,
    likelier: { before: 0.5, after: 0.6 },
  };
  const result = quickstartEvaluation({
    ...{ outputDir: 'runs/quickstart', adapter: 'adapter', plot: 'plot.png', seconds: 1, stages: [] },
    ...{ all: scores, usersInLog: scores, newUsers: { ...scores, pairs: 0 } },
    reward: { onnx: 'onnx', heldOut: { pairs: 30, correct: 15 }, seconds: 1 },
    samples: [{ user: 'u', persona: 'p', request: 'r', before: 'b', after: 'a' }],
  });
  const { tables, answers } = evaluationResultSchema.parse(result);
  const [all, , newUsers] = tables[0]?.rows ?? [];
  // Wilson (1927) for 15 and for 30 of 30.
  expect(all?.cells[0]).toMatchObject({
    value: 0.5,
    low: expect.closeTo(0.3315, 4),
    high: expect.closeTo(0.6685, 4),
  });
  expect(all?.cells[1]).toMatchObject({ value: 1, low: expect.closeTo(0.8865, 4), high: 1, count: 30 });
  expect(newUsers?.cells[0]).toEqual({ value: null });
  expect(tables.at(-1)?.rows[0]?.cells[0]).toEqual(all?.cells[0]);
  expect(answers[0]?.answers.map(({ text }) => text)).toEqual(['b', 'a']);
});
