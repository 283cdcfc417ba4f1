import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openEngine, sqlText } from '../../../src/data/conversations/engine.js';
import { Tally } from '../../../src/data/tally.js';
import type { BenchmarkName } from '../../../src/eval/reasoning/benchmarks.js';
import type { ChoiceProblem, Problem } from '../../../src/eval/reasoning/problem.js';
import { readProblems } from '../../../src/eval/reasoning/read-problems.js';

const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-problems-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function written(text: string, ending = 'jsonl'): string {
  const path = join(folder, `${files++}.${ending}`);
  writeFileSync(path, text);
  return path;
}

const lines = (...rows: object[]) => rows.map((row) => JSON.stringify(row)).join('\n');

async function read(
  file: string,
  name: BenchmarkName,
  options = {},
): Promise<{ problems: Problem[]; tally: Tally }> {
  const tally = new Tally('problems');
  return { problems: await readProblems(file, name, tally, options), tally };
}

describe('MATH-500', () => {
  test('is read as it is published, and with the solution as the answer', async () => {
    const file = written(
      lines(
        {
          problem: 'What is 1 + 1?',
          solution: 's',
          answer: '2',
          subject: 'Algebra',
          unique_id: 'test/a/1.json',
        },
        { question: 'And 1 + 2?', answer: 'It is $\\boxed{3}$.The answer is: 3' },
        { problem: 'Nothing', answer: '' },
      ),
    );
    const { problems, tally } = await read(file, 'math-500');
    expect(problems).toEqual([
      { kind: 'math', id: 'test/a/1.json', question: 'What is 1 + 1?', category: 'Algebra', truth: '2' },
      { kind: 'math', id: '2', question: 'And 1 + 2?', category: '', truth: '3' },
    ]);
    expect(tally.counts()).toMatchObject({ in: 3, out: 2, dropped: { 'no-answer': 1 } });
  });
});

describe('Minerva', () => {
  test('has the answer in the last box of the solution, which was rounded', async () => {
    const file = written(
      lines({ problem: 'How far?', solution: '\\boxed{2} no, \\boxed{4.5e33}', type: 'Astronomy', idx: 7 }),
    );
    const { problems } = await read(file, 'minerva');
    expect(problems).toEqual([
      {
        ...{ kind: 'math', id: '7', question: 'How far?', category: 'Astronomy', truth: '4.5e33' },
        tolerance: { relative: 0.01 },
      },
    ]);
  });
});

describe('OlympiadBench', () => {
  const row = {
    id: 1606,
    subfield: 'Algebra',
    context: null,
    question: 'Find x.',
    final_answer: ['$2$'],
    unit: null,
    error: null,
  };

  test('has context, unit and tolerance with the question', async () => {
    const file = written(
      JSON.stringify([
        row,
        { ...row, id: 2, context: 'Given y.', unit: 'cm', error: '1e-1', final_answer: ['1', '2'] },
      ]),
      'json',
    );
    const { problems } = await read(file, 'olympiad-bench');
    expect(problems[0]).toEqual({
      kind: 'math',
      id: '1606',
      question: 'Find x.',
      category: 'Algebra',
      truth: '$2$',
    });
    expect(problems[1]).toMatchObject({
      question: 'Given y.\n\nFind x.\n\n(Give the answer in cm.)',
      truth: '1, 2',
      tolerance: { absolute: 0.1 },
    });
  });

  test('leaves out what needs an image, asks for a proof or has no answer', async () => {
    const file = written(
      lines(
        row,
        { ...row, image_1: {} },
        { ...row, modality: 'Multimodal' },
        { ...row, question_type: 'Theorem proof' },
        { ...row, final_answer: null },
      ),
    );
    const { problems, tally } = await read(file, 'olympiad-bench');
    expect(problems).toHaveLength(1);
    expect(tally.counts().dropped).toEqual({ 'needs-image': 2, proof: 1, 'no-answer': 1 });
  });
});

describe('GPQA', () => {
  const csv =
    'Pre-Revision Question,Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Incorrect Answer 3,High-level domain,Record ID\n' +
    'x,"Which, of ""these"",\nis it?",right,wrong 1,"wrong, 2",wrong 3,Physics,rec1\n' +
    'x,Second?,right,w1,w2,w3,Biology,rec2\n';

  test('is read from CSV, and its options are shuffled, the same way for the same seed', async () => {
    const file = written(csv, 'csv');
    const { problems } = await read(file, 'gpqa');
    const [first] = problems as [ChoiceProblem];
    expect(first).toMatchObject({
      kind: 'choice',
      id: 'rec1',
      category: 'Physics',
      question: 'Which, of "these",\nis it?',
    });
    expect([...first.options].sort()).toEqual(['right', 'wrong 1', 'wrong 3', 'wrong, 2']);
    expect(first.options['ABCD'.indexOf(first.truth)]).toBe('right');
    expect((await read(file, 'gpqa')).problems).toEqual(problems);
    const truths = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      for (const { truth } of (await read(file, 'gpqa', { seed })).problems) truths.add(truth);
    }
    expect([...truths].sort()).toEqual(['A', 'B', 'C', 'D']);
  });
});

describe('MMLU-Pro', () => {
  const row = {
    question_id: 70,
    question: 'Which?',
    options: ['a', 'b', 'N/A'],
    answer: 'B',
    category: 'law',
  };

  test('is read from JSON lines and from Parquet alike', async () => {
    const json = written(lines(row, { ...row, question_id: 71, answer: 'A' }));
    const parquet = join(folder, 'mmlu.parquet');
    const engine = await openEngine();
    await engine.run(
      `COPY (SELECT * FROM read_json(${sqlText(json)})) TO ${sqlText(parquet)} (FORMAT parquet)`,
    );
    await engine.close();
    const { problems } = await read(json, 'mmlu-pro');
    expect(problems[0]).toEqual({
      ...{ kind: 'choice', id: '70', question: 'Which?', category: 'law', truth: 'B' },
      ...{ options: ['a', 'b'], letters: 10 },
    });
    expect((await read(parquet, 'mmlu-pro')).problems).toEqual(problems);
  });

  test('is refused where the answer is none of the options', async () => {
    const file = written(lines(row, { ...row, answer: 'D' }));
    await expect(read(file, 'mmlu-pro')).rejects.toThrow(
      `${file}:2: expected a row of MMLU-Pro with question, options and answer: answer: the answer is none of the options`,
    );
  });
});

describe('files that are something else', () => {
  test.each<[BenchmarkName, string, string, string]>([
    ['gpqa', '{"question": "x"}', 'jsonl', 'expected a row of GPQA with Question, Correct Answer'],
    ['math-500', '{"text": "x"}', 'jsonl', 'expected problem, or question, as a text'],
    ['math-500', 'not json', 'jsonl', 'expected a row of JSON'],
    ['math-500', '', 'jsonl', 'there is no problem of MATH-500 in it'],
    ['mmlu-pro', 'no parquet', 'parquet', 'it cannot be read as parquet'],
  ])('%s: %s as %s', async (name, text, ending, message) => {
    await expect(read(written(text, ending), name)).rejects.toThrow(message);
  });

  test('that are not there', async () => {
    await expect(read(join(folder, 'none.csv'), 'gpqa')).rejects.toThrow('it cannot be read as csv');
    await expect(read(join(folder, 'none.jsonl'), 'minerva')).rejects.toThrow('There is no such file');
  });
});
