import { describe, expect, test } from 'vitest';
import { sameAnswer } from '../../../src/data/math-answer/same-answer.js';
import { sameForm } from '../../../src/data/math-answer/written-form.js';

const SAME: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  numbers: [
    ['0.5', '.50'],
    ['\\frac{1}{2}', '0.5'],
    ['\\frac12', '1/2'],
    ['1\\frac{1}{2}', '1.5'],
    ['-\\frac{3}{2}', '\\dfrac{-3}{2}'],
    ['7,425,000', '7425000'],
    ['14{,}916', '14916'],
    ['1 000', '1000'],
    ['0,25', '1/4'],
    ['1.5\\times 10^{3}', '1500'],
    ['4.5\\cdot 10^{33}', '4.5e33'],
    ['2^{10}', '1024'],
    ['2025^{2025}', '2025^{2024}\\cdot 2025'],
    ['5!', '120'],
    ['\\binom{5}{2}', '10'],
    ['50\\%', '0.5'],
    ['50%', '50 percent'],
    ['\\$5.50', '5.5'],
    ['−3', '-3'],
  ],
  expressions: [
    ['\\sqrt{8}', '2\\sqrt2'],
    ['\\sqrt[3]{-8}', '-2'],
    ['\\frac{\\sqrt{3}}{3}', '\\frac{1}{\\sqrt{3}}'],
    ['x^2-1', '(x-1)(x+1)'],
    ['\\frac{x+2}{7}', '\\frac{x}{7}+\\frac{2}{7}'],
    ['\\sin^2 x + \\cos^2 x', '1'],
    ['2\\sin b\\cos b', '\\sin(2b)'],
    ['\\sin 30^\\circ', '1/2'],
    ['\\tan^{-1} 1', '\\pi/4'],
    ['\\log_2 8', '3'],
    ['\\ln\\frac12', '-\\ln 2'],
    ['e^{i\\pi}', '-1'],
    ['|x|', '\\sqrt{x^2}'],
    ['\\sum_{k=1}^{10} k', '55'],
    ['\\sum_{k=0}^{n} a_k b_{n-k}', '\\sum_{k=0}^{n} b_{n-k} a_k'],
    ['\\frac{dx}{dt} = kx', '\\frac{d x}{d t}=k x'],
    ['C_1 e^{t}+C_2', 'C_2+C_1e^{t}'],
  ],
  lists: [
    ['\\{1,2\\}', '2, 1'],
    ['1 \\text{ and } 2', '2,1'],
    ['1 or 2', '1,2'],
    ['\\pm 3', '3,-3'],
    ['1\\pm\\sqrt{2}', '1+\\sqrt2, 1-\\sqrt2'],
    ['x=1, y=2', '1,2'],
    ['(p,q)=(3,2)', '(3,2)'],
    ['p=5,q=2;p=7,q=2', '(5,2),(7,2)'],
    ['(1;2)', '(1,2)'],
    ['\\begin{pmatrix}1\\\\2\\end{pmatrix}', '(1,2)'],
    ['3:4', '6:8'],
  ],
  sets: [
    ['(2,7]', '2<x\\le 7'],
    ['x \\in [0,1)', '[0,1)'],
    ['x\\neq 3', '(-\\infty,3)\\cup(3,\\infty)'],
    ['\\mathbb{R}\\setminus\\{3\\}', '(-\\infty,3)\\cup(3,\\infty)'],
    ['[0,2]\\cup[1,3]', '0\\le x\\le 3'],
    ['1\\le|z|\\le 2', '[-2,-1]\\cup[1,2]'],
    ['-x > -1', 'x < 1'],
    ['(-\\infty,5)', 'x<5'],
    ['\\emptyset', '\\{\\}'],
  ],
  equations: [
    ['x = 5', '5'],
    ['x = 2+3 = 5', '5'],
    ['x=\\frac13\\approx 0.33', '1/3'],
    ['2x+4y=3', 'y=-\\frac{x}{2}+\\frac34'],
    ['a<b<c', 'c>b>a'],
  ],
  units: [
    ['15\\mbox{ cm}^2', '15'],
    ['12 cm', '0.12\\text{ m}'],
    ['3 \\mathrm{m}/\\mathrm{s}', '3'],
    ['\\frac{3}{4}\\text{ hours}', '45 minutes'],
    ['90^\\circ', '90'],
    ['5 \\text{ apples}', '5\\text{ red apples}'],
  ],
  words: [
    ['\\text{Evelyn}', 'evelyn'],
    ['(C)', '\\text{C}'],
    ['\\text{even}', 'Even'],
    ['204_5', '\\boxed{204_5}'],
  ],
};

const DIFFERENT: readonly (readonly [string, string])[] = [
  ['1', '2'],
  ['1000000', '1000001'],
  ['6.6e-34', '6.7e-34'],
  ['0', '1e-20'],
  ['2^{2025}', '2^{2024}'],
  ['9^9^9^9', '9^9^9'],
  ['\\sqrt{2}', '1.41'],
  ['x', 'y'],
  ['x^2', 'x^3'],
  ['|x|', 'x'],
  ['\\sin x', '\\cos x'],
  ['e', 'E'],
  ['i', '1'],
  ['2\\pi', '2'],
  ['f(x)', 'f(y)'],
  ['\\frac{dx}{dt}', '\\frac{x}{t}'],
  ['F_n = \\sum_{k=0}^{n-1} F_k', 'F_n = \\sum_{k=0}^{n-2} F_k'],
  ['(1,2)', '(2,1)'],
  ['(1,2)', '[1,2)'],
  ['(0,1)', '\\{0,1\\}'],
  ['1,2', '1,2,3'],
  ['\\pm 2', '2'],
  ['x>3', 'x\\ge 3'],
  ['x>5', 'x<5'],
  ['x+1=0', 'x+2=0'],
  ['a+3z=0', '0'],
  ['7 = 11a+c', '11a+c'],
  ['\\infty', '-\\infty'],
  ['12 cm', '12\\text{ kg}'],
  ['12 cm', '12\\text{ m}'],
  ['10_2', '10_3'],
  ['12:00', '1:00'],
  ['\\text{yes}', '\\text{no}'],
  ['A', 'B'],
  ['', '0'],
];

describe.each(Object.entries(SAME))('the same answer: %s', (_, pairs) => {
  test.each(pairs)('%s is %s', (left, right) => {
    expect(sameAnswer(left, right)).toBe(true);
    expect(sameAnswer(right, left)).toBe(true);
  });
});

describe('another answer', () => {
  test.each(DIFFERENT)('%s is not %s', (left, right) => {
    expect(sameAnswer(left, right)).toBe(false);
    expect(sameAnswer(right, left)).toBe(false);
  });

  test('how exact a decimal number must be is for the caller to say', () => {
    expect(sameAnswer('0.33', '1/3')).toBe(false);
    expect(sameAnswer('0.33', '1/3', { digits: 2 })).toBe(true);
    // Whole numbers are exact all the same.
    expect(sameAnswer('1000', '1001', { digits: 2 })).toBe(false);
  });
});

describe('the same form', () => {
  test.each([
    ['1,000', '1000'],
    ['\\dfrac{1}{2}', '\\frac12'],
    ['0.5', '\\frac{1}{2}'],
    ['x=5', '5'],
    ['5.0', '5'],
    ['45^\\circ', '45'],
    ['28%', '28'],
    ['12\\text{ cm}', '12'],
    ['(x+1)^2', 'x^2+2x+1'],
    ['( 1, 2 )', '(1,2)'],
    ['40,\\!000', '40000'],
    ['1,234,567', '1234567'],
    ['\\sqrt3', '\\sqrt{3}'],
    ['.5', '0.50'],
    ['\\boxed{7}', '7'],
    ['18\\text{ cents}', '18cents'],
    ['40_9', '40_{9}'],
    ['\\$1.24', '1.24'],
  ])('%s passes for %s', (given, truth) => expect(sameForm(given, truth)).toBe(true));

  test.each([
    ['\\frac{2}{4}', '\\frac{1}{2}'],
    ['4/2', '2'],
    ['0.333333', '1/3'],
    ['123456789012345678', '123456789012345679'],
    ['', '0'],
    ['2,1', '1,2'],
    ['\\{1,2\\}', '(1,2)'],
    ['-x > -1', 'x < 1'],
    ['1,5', '1.5'],
    ['(p,q)=(3,2)', '(3,2)'],
    ['the answer is 9', '9'],
  ])('%s does not pass for %s', (given, truth) => expect(sameForm(given, truth)).toBe(false));
});
