import { describe, expect, it } from 'vitest';
import { agreement, wilson } from '../../bench/support/agreement.js';

describe('agreement', () => {
  it('counts what is right, by label and altogether', () => {
    const result = agreement(['a', 'a', 'b', 'b'], ['a', 'b', 'b', 'none'], ['a', 'b', 'c']);
    expect(result).toMatchObject({ count: 4, correct: 2, accuracy: 0.5 });
    expect(result.byLabel).toEqual({
      a: { count: 2, recall: 0.5, precision: 1 },
      b: { count: 2, recall: 0.5, precision: 0.5 },
      c: { count: 0, recall: null, precision: null },
    });
    expect(result.confusion).toEqual({
      a: { a: 1, b: 1, c: 0, none: 0 },
      b: { a: 0, b: 1, c: 0, none: 1 },
      c: { a: 0, b: 0, c: 0, none: 0 },
    });
  });
});

describe("Wilson's interval", () => {
  // Newcombe 1998, table I: 81 of 263 and 0 of 20.
  it.each([
    [81, 263, 0.2553, 0.3662],
    [0, 20, 0, 0.1611],
  ])('of %d in %d', (successes, count, low, high) => {
    const [from, to] = wilson(successes, count);
    expect(from).toBeCloseTo(low, 4);
    expect(to).toBeCloseTo(high, 4);
  });
});
