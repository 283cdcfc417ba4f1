import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ConfigError, DataError } from '../../src/errors.js';
import { type EvaluationResultInput, readEvaluations, writeEvaluation } from '../../src/eval/results.js';

const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-results-'));
afterAll(() => rmSync(folder, { recursive: true }));

const result: EvaluationResultInput = {
  kind: 'evaluation',
  format: 1,
  name: 'user-eval',
  title: 'UserEval',
  tables: [
    {
      title: 'Win rates',
      columns: [{ title: 'win rate', unit: 'share', better: 'higher', reference: 0.5 }],
      rows: [{ label: 'initial turns', cells: [{ value: 0.62, low: 0.55, high: 0.69, count: 120 }] }],
    },
  ],
};

describe('the result of an evaluation', () => {
  test('is read as it was written, with its defaults, and beside files of other kinds', async () => {
    const run = join(folder, 'run');
    expect(readEvaluations(run)).toEqual([]);
    const path = await writeEvaluation(run, result);
    expect(path).toBe(join(run, 'evaluations', 'user-eval.json'));
    writeFileSync(join(run, 'evaluations', 'judgments.json'), '[1]');
    const [read, ...others] = readEvaluations(run);
    expect(others).toEqual([]);
    expect(read).toMatchObject({ name: 'user-eval', about: '', answers: [], settings: {} });
    expect(read?.tables[0]?.rows).toEqual(result.tables[0]?.rows);
  });

  test('is refused where it is not of the form, with the place', async () => {
    const [table] = result.tables;
    const short = { ...result, tables: [{ ...table, rows: [{ label: 'a', cells: [] }] }] };
    await expect(writeEvaluation(folder, short as EvaluationResultInput)).rejects.toThrow(
      new ConfigError(
        'the result of an evaluation: tables.0: expected as many cells in each row as there are columns',
      ),
    );
    const run = join(folder, 'bad');
    mkdirSync(join(run, 'evaluations'), { recursive: true });
    const file = join(run, 'evaluations', 'x.json');
    writeFileSync(file, JSON.stringify({ ...result, name: 'User Eval' }));
    expect(() => readEvaluations(run)).toThrow(DataError);
    expect(() => readEvaluations(run)).toThrow(`${file}: expected the result of an evaluation`);
    writeFileSync(file, '{');
    expect(() => readEvaluations(run)).toThrow(`${file}: expected JSON`);
  });
});
