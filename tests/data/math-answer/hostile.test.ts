/** What a model may write: the work on it is bounded, and the result is that it is not the true answer. */
import { describe, expect, test } from 'vitest';
import { finalAnswer } from '../../../src/data/math-answer/final-answer.js';
import { parseAnswer } from '../../../src/data/math-answer/parser.js';
import { sameAnswer } from '../../../src/data/math-answer/same-answer.js';
import { sameForm } from '../../../src/data/math-answer/written-form.js';

const times = (count: number, text: string) => text.repeat(count);
const list = (count: number, text: string) => Array.from({ length: count }, () => text).join(',');

const HOSTILE: Readonly<Record<string, string>> = {
  'a tower of powers': '9^9^9^9',
  'a tower of factorials': '999!!!!^{999!}',
  'ten to the ten to the ten': '10^{10^{10}}',
  'a product of long numbers': times(100, '2025^{2025}'),
  'brackets 10,000 deep': `${times(10_000, '(')}1${times(10_000, ')')}`,
  'brackets as deep as fits': `${times(900, '(')}1${times(900, ')')}`,
  'signs as many as fit': `${times(1900, '-')}1`,
  'roots within roots': `${times(270, '\\sqrt{')}2${times(270, '}')}`,
  'fractions that do not end': times(300, '\\frac{'),
  'subscripts within subscripts': times(600, 'x_{'),
  'a list of 63 long numbers': list(63, '2025^{2025}'),
  'a list of sets': list(30, '\\{1,2,3,4,5,6,7,8,9,10,11,12\\}'),
  'a list of signs of both kinds': list(60, '\\pm x'),
  'sums of sums': `${times(20, '\\sum_{k=1}^{199}')}k`,
  'sums in three variables': '\\sum_{k=1}^{199}\\sum_{j=1}^{199}\\sum_{i=1}^{199} kji',
  'a power of a matrix': '\\begin{pmatrix}1&1\\\\0&1\\end{pmatrix}^{999999999}',
  'two thousand letters': times(1990, 'x'),
  'a number of two thousand digits': times(1990, '7'),
  'a million characters': times(1_000_000, 'x'),
  'a million spaces': `1${times(1_000_000, ' ')}2`,
  'a million brackets': times(1_000_000, '\\left('),
};

describe('hostile answers', () => {
  test.each(Object.entries(HOSTILE))(
    '%s: are not 5, nor are they themselves and something',
    (_, answer) => {
      expect(sameAnswer(answer, '5')).toBe(false);
      expect(sameAnswer('5', answer)).toBe(false);
      expect(sameForm(answer, '5')).toBe(false);
      expect(sameAnswer(answer, `${answer}+1`)).toBe(false);
    },
    20_000,
  );

  test.each(Object.entries(HOSTILE))('%s: are what they are', (_, answer) => {
    expect(sameAnswer(answer, answer)).toBe(true);
  });

  test('that are too long or too deep are not read', () => {
    expect(parseAnswer(times(2001, '1'))).toBeUndefined();
    expect(parseAnswer(`${times(900, '(')}1${times(900, ')')}`)).toBeUndefined();
    expect(parseAnswer(`${times(10, '(')}1${times(10, ')')}`)).toEqual({
      kind: 'number',
      digits: '1',
      exponent: 0,
    });
    expect(parseAnswer(list(100, '1'))).toBeUndefined();
  });

  test('9^9^9^9 is what is written the same, and its size is not guessed', () => {
    expect(sameAnswer('9^9^9^9', '9^{9^{9^9}}')).toBe(true);
    expect(sameAnswer('9^9^9^9', '9^{9^{9^8}}')).toBe(false);
    expect(sameAnswer('9^9^9^9', '\\infty')).toBe(false);
  });
});

describe('hostile responses', () => {
  test.each([
    ['boxes that are not closed', times(100_000, '\\boxed{'), /^\\boxed/],
    ['formulas that are not closed', `${times(300_000, '\\[')} 7`, /7/],
    ['dollar signs', `${times(500_000, '$$ ')} 8`, /8/],
    ['announcements', `${times(50_000, 'the answer is ')}9`, /9/],
    ['announcements of nothing', `final${times(500_000, ' ')}answer${times(400_000, ' ')}6`, /6/],
    ['groups of digits', times(300_000, '111 '), /1/],
    ['one number of a million digits', times(1_000_000, '1'), /./],
    ['periods', `the answer is ${times(300_000, '. ')}`, /./],
    ['thoughts', times(100_000, '<think>'), /./],
  ])(
    '%s: only the end is searched',
    (_, response, expected) => {
      expect(finalAnswer(response) ?? 'none').toMatch(expected);
    },
    20_000,
  );
});
