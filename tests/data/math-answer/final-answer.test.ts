import { describe, expect, test } from 'vitest';
import { boxedAnswer, boxesIn } from '../../../src/data/math-answer/boxed.js';
import { finalAnswer } from '../../../src/data/math-answer/final-answer.js';

describe('boxes', () => {
  test('have what stands in their braces, which are matched', () => {
    const text = 'First \\boxed{1}, then \\boxed{\\frac{1}{\\{2\\}}} and \\fbox{ 3 }.';
    expect(boxesIn(text).map(({ content }) => content)).toEqual(['1', '\\frac{1}{\\{2\\}}', '3']);
    expect(boxedAnswer('\\boxed{\\boxed{4}')).toBe('4');
    expect(boxedAnswer('\\boxed{1')).toBeUndefined();
    expect(boxedAnswer('no box')).toBeUndefined();
  });

  test('that are not closed go to the end', () => {
    expect(boxesIn('so \\boxed{\\frac{1}{2').map(({ content }) => content)).toEqual(['\\frac{1}{2']);
  });
});

describe('the final answer', () => {
  test.each([
    ['Adding up gives 3. The final answer is $12$. I hope it is correct.', '12'],
    ['We get $\\boxed{200}$ at first. Final Answer: The final answer is $10,455$.', '10,455'],
    ['Final Answer: The largest $n$ is 34.', '34'],
    ['**Answer:** 7\n\nLet me know if you have questions about step 3.', '7'],
    ['The answer is:\n\\[ x = 4 \\]', ' x = 4 '],
    ['The area is \\boxed{15\\text{ cm}^2}.', '15\\text{ cm}^2'],
    ['So \\boxed{1} and \\boxed{-2}.', '1, -2'],
    ['\\boxed{1} is wrong, as we have seen before, so that it must be \\boxed{2}', '2'],
    ['It grows by $\\boxed{28}$ percent', '28\\%'],
    ['With $x=2$ and $y=3$ we find $x+y=5$', 'x+y=5'],
    ['the price is not 10 but 1,000.99€', '1,000.99'],
    ['<think>maybe \\boxed{3}</think> It is \\boxed{4}.', '4'],
    ['2/3', '2/3'],
    ['Therefore Alice wins with probability 2/3.', '2/3'],
    ['x \\ge 5', 'x \\ge 5'],
    ['It is 2.', '2'],
    ['12 cm', '12 cm'],
    ['AB=4, CD=5', 'AB=4, CD=5'],
    ['sin(x) + 1', 'sin(x) + 1'],
  ])('of %j', (response, expected) => expect(finalAnswer(response)).toBe(expected));

  test('is not made up', () => {
    expect(finalAnswer('I do not know.')).toBeUndefined();
    expect(finalAnswer('')).toBeUndefined();
    expect(finalAnswer('I am')).toBeUndefined();
    expect(finalAnswer('AZYUK2A is the code of the station')).toBeUndefined();
  });
});
