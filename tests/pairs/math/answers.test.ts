import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { boxedAnswer, sameAnswer, splitAnswer } from '../../../src/pairs/math/answers.js';

describe('final answers', () => {
  it('stand under a heading of their own', () => {
    expect(splitAnswer('So it is 7.\n\n# Answer\n\n7')).toEqual({ text: 'So it is 7.', answer: '7' });
    expect(splitAnswer('# Answer\n\n\\frac{1}{2}\n')).toEqual({ text: '', answer: '\\frac{1}{2}' });
    expect(splitAnswer(' So it is 7. ')).toEqual({ text: 'So it is 7.' });
    expect(splitAnswer('# Answer\n\n')).toEqual({ text: '# Answer' });
  });

  it('or in a box, the last one, with its braces', () => {
    expect(boxedAnswer('First $\\boxed{1}$, then $\\boxed{\\frac{1}{\\sqrt{2}}}$.')).toBe(
      '\\frac{1}{\\sqrt{2}}',
    );
    expect(boxedAnswer('\\boxed{\\{1, 2\\}}')).toBe('\\{1, 2\\}');
    expect(boxedAnswer('\\boxed{1')).toBeUndefined();
    expect(boxedAnswer('no box')).toBeUndefined();
  });

  it.each([
    ['29', ' $29$. '],
    ['40,\\!000', '40000'],
    ['1,234,567', '1234567'],
    ['\\dfrac{1}{2}', '\\frac12'],
    ['\\frac{1}{2}', '\\tfrac{1}{2}'],
    ['\\sqrt3', '\\sqrt{3}'],
    ['90^\\circ', '90'],
    ['50\\%', '50'],
    ['\\left( 3, 4 \\right)', '(3,4)'],
    ['x = 5', '5'],
    ['.5', '0.50'],
    ['\\boxed{7}', '7'],
    ['18\\text{ cents}', '18cents'],
    ['40_9', '40_{9}'],
    ['\\$1.24', '1.24'],
  ])('%s is %s', (left, right) => {
    expect(sameAnswer(left, right)).toBe(true);
    expect(sameAnswer(right, left)).toBe(true);
  });

  it.each([
    ['29', '92'],
    ['-1', '1'],
    ['(1,2)', '(2,1)'],
    ['1,2', '12'],
    ['\\frac{1}{2}', '\\frac{2}{1}'],
    ['123456789012345678', '123456789012345679'],
    ['x+1', 'x-1'],
    ['', '0'],
  ])('%s is not %s', (left, right) => {
    expect(sameAnswer(left, right)).toBe(false);
  });
});

const graded = join(
  process.env.PERSONA_DPO_REFERENCE_DIR ?? '',
  'data/graders/prm800k_grader_reference.jsonl',
);

describe.skipIf(process.env.PERSONA_DPO_REFERENCE_DIR === undefined || !existsSync(graded))(
  "PRM800K's grader (needs PERSONA_DPO_REFERENCE_DIR)",
  () => {
    const cases = existsSync(graded)
      ? readFileSync(graded, 'utf8')
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as { pred: string; gt: string; prm800k_grade: boolean | null })
      : [];

    it('calls nothing wrong that is the same here, and little right that is not', () => {
      const judged = cases.map(({ pred, gt, prm800k_grade: grade }) => ({
        pred,
        gt,
        grade,
        same: sameAnswer(pred, gt),
      }));
      expect(judged.filter(({ grade, same }) => same && grade === false)).toEqual([]);
      const right = judged.filter(({ grade }) => grade === true);
      const found = right.filter(({ same }) => same).length;
      expect(found / right.length).toBeGreaterThan(0.95);
    });
  },
);
