import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Tally } from '../../../src/data/tally.js';
import { choiceAnswer } from '../../../src/eval/reasoning/choice-answer.js';
import { gradeResponse } from '../../../src/eval/reasoning/grade.js';
import { majorityIsRight, passAtK } from '../../../src/eval/reasoning/metrics.js';
import type { MathProblem } from '../../../src/eval/reasoning/problem.js';
import { readProblems } from '../../../src/eval/reasoning/read-problems.js';

const folder = join(process.env.PERSONA_DPO_REFERENCE_DIR ?? '', 'data');
const isMissing = process.env.PERSONA_DPO_REFERENCE_DIR === undefined || !existsSync(folder);

const problem: MathProblem = { kind: 'math', id: '1', question: 'q', category: '', truth: '\\frac{1}{2}' };

describe('the letter that a response chooses', () => {
  test.each([
    ['So the answer is (C). The answer is (D).', 'C'],
    ['answer is F', 'F'],
    ['Answer: A, or rather Answer: B\nAnswer: C', 'B'],
    ['the final answer:\n  E', 'E'],
    ['I think A is wrong, so B', 'B'],
    ['A lot of words, none a letter: X', 'A'],
    ['no idea', undefined],
    ['', undefined],
  ])('of %j is %s', (response, letter) => expect(choiceAnswer(response)).toBe(letter));

  test('is one of those that there are', () => {
    expect(choiceAnswer('the answer is (F)', 4)).toBeUndefined();
    expect(choiceAnswer('the answer is (F), not B', 4)).toBe('B');
  });

  test('is found in long responses without much work', () => {
    const words = 'Answer: Answer: '.repeat(60_000);
    expect(choiceAnswer(`${words} answer:${' '.repeat(100_000)}H`)).toBe('H');
  });
});

describe.skipIf(isMissing)('MMLU-Pro (skipped without PERSONA_DPO_REFERENCE_DIR)', () => {
  test('400 answers: what was extracted, and how many are right', () => {
    const rows = readFileSync(join(folder, 'mmlu_pro', 'sample400.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { generated_text: string; pred: string; answer: string });
    expect(rows).toHaveLength(400);
    const answers = rows.map((row) => ({ ...row, own: choiceAnswer(row.generated_text) }));
    const found = answers.filter(({ own }) => own !== undefined);
    // Of the other 24 the published prediction is a letter drawn at random.
    expect(found).toHaveLength(376);
    expect(found.filter(({ own, pred }) => own !== pred)).toEqual([]);
    expect(found.filter(({ own, answer }) => own === answer)).toHaveLength(182);
    const guessed = answers.filter(({ own, pred, answer }) => own === undefined && pred === answer);
    // 184 of 400 as published: two of the letters drawn at random were right.
    expect(guessed).toHaveLength(2);
  });

  test('the problems are read, and their answers found among the options', async () => {
    const tally = new Tally('problems');
    const problems = await readProblems(join(folder, 'mmlu_pro', 'sample400.jsonl'), 'mmlu-pro', tally);
    expect(tally.counts()).toMatchObject({ in: 400, out: 400, dropped: {} });
    expect(new Set(problems.map(({ category }) => category)).size).toBe(14);
  });
});

describe.skipIf(isMissing)(
  'true answers of the benchmarks (skipped without PERSONA_DPO_REFERENCE_DIR)',
  () => {
    test.each([
      ['math-500', 'math500.test.jsonl', 500],
      ['minerva', 'minerva_math.test.jsonl', 272],
      ['olympiad-bench', 'olympiadbench.first200.jsonl', 200],
    ] as const)('%s: a response that gives the true answer is right', async (name, file, count) => {
      const problems = await readProblems(join(folder, 'reasoning', file), name, new Tally('problems'));
      expect(problems).toHaveLength(count);
      const wrong = problems.filter(
        (each) => !gradeResponse(each, `We find that it is\n\\[\\boxed{${each.truth}}\\]`).correct,
      );
      expect(wrong.map(({ truth }) => truth)).toEqual([]);
      // And one that gives the next problem's answer is seldom right.
      const mixed = problems.filter((each, index) => {
        const other = problems[(index + 1) % problems.length]?.truth ?? '';
        return gradeResponse(each, `\\boxed{${other}}`).correct;
      });
      expect(mixed.length / count).toBeLessThan(0.05);
    });
  },
);

describe('a grade', () => {
  test('is by meaning or by form', () => {
    expect(gradeResponse(problem, 'It is \\boxed{0.5}.')).toEqual({ answer: '0.5', correct: true });
    expect(gradeResponse(problem, 'It is \\boxed{\\frac{2}{4}}.', 'meaning').correct).toBe(true);
    expect(gradeResponse(problem, 'It is \\boxed{\\frac{2}{4}}.', 'form').correct).toBe(false);
    expect(gradeResponse(problem, 'No idea.')).toEqual({ answer: null, correct: false });
  });

  test('allows for the tolerance that the benchmark has', () => {
    const rounded: MathProblem = { ...problem, truth: '1.5e8', tolerance: { relative: 0.01 } };
    expect(gradeResponse(rounded, '\\boxed{1.499 \\times 10^8 \\text{ m}}').correct).toBe(true);
    expect(gradeResponse(rounded, '\\boxed{1.4 \\times 10^8}').correct).toBe(false);
    const absolute: MathProblem = { ...problem, truth: '3', tolerance: { absolute: 0.1 } };
    expect(gradeResponse(absolute, '\\boxed{3.1}').correct).toBe(true);
    expect(gradeResponse(absolute, '\\boxed{3.2}').correct).toBe(false);
    expect(gradeResponse({ ...problem, truth: '3' }, '\\boxed{3.1}').correct).toBe(false);
  });
});

describe('pass@k', () => {
  test('is the mean for one sample, and grows with k', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.nat(60), (count, some) => {
        const correct = Math.min(some, count);
        expect(passAtK(count, correct, 1)).toBeCloseTo(correct / count, 12);
        expect(passAtK(count, correct, count)).toBe(correct > 0 ? 1 : 0);
        for (let k = 2; k <= count; k++) {
          expect(passAtK(count, correct, k)).toBeGreaterThanOrEqual(passAtK(count, correct, k - 1) - 1e-12);
        }
      }),
    );
    // 1 - C(7, 3) / C(10, 3)
    expect(passAtK(10, 3, 3)).toBeCloseTo(1 - 35 / 120, 12);
    expect(passAtK(2, 1, 3)).toBeNaN();
  });
});

describe('the majority', () => {
  const grade = (answer: string | null, correct = false) => ({ answer, correct });

  test('counts answers that mean the same together', () => {
    const grades = [grade('2'), grade('0.5', true), grade('\\frac12', true), grade(null), grade('3')];
    expect(majorityIsRight(problem, grades, 'meaning')).toBe(true);
  });

  test('takes the first of those with as many votes, and none without answers', () => {
    expect(majorityIsRight(problem, [grade('2'), grade('0.5', true)], 'meaning')).toBe(false);
    expect(majorityIsRight(problem, [grade('0.5', true), grade('2')], 'meaning')).toBe(true);
    expect(majorityIsRight(problem, [grade(null), grade(null)], 'meaning')).toBe(false);
    expect(majorityIsRight(problem, [], 'meaning')).toBe(false);
  });
});
