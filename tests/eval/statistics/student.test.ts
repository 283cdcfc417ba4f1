import { describe, expect, it } from 'vitest';
import { studentQuantile } from '../../../src/data/student-quantile.js';
import { studentInterval } from '../../../src/eval/statistics/student.js';

describe('studentQuantile', () => {
  // Any table of the distribution.
  it.each([
    [0.975, 1, 12.7062],
    [0.975, 2, 4.3027],
    [0.975, 3, 3.1824],
    [0.975, 4, 2.7764],
    [0.95, 5, 2.015],
    [0.995, 10, 3.1693],
    [0.975, 30, 2.0423],
    [0.975, 121, 1.9798],
    [0.025, 4, -2.7764],
  ])('of %s with %s degrees of freedom', (p, degrees, expected) => {
    expect(studentQuantile(p, degrees)).toBeCloseTo(expected, 3);
  });

  it('refuses what is no share and no degrees of freedom', () => {
    expect(() => studentQuantile(1, 3)).toThrow(/between 0 and 1/);
    expect(() => studentQuantile(0.9, 0)).toThrow(/whole number/);
  });
});

describe('studentInterval', () => {
  it('is what the textbook says', () => {
    const { estimate, low, high } = studentInterval([1, 2, 3]);
    expect(estimate).toBe(2);
    expect(high - 2).toBeCloseTo(4.3027 / Math.sqrt(3), 3);
    expect(2 - low).toBeCloseTo(high - 2, 12);
  });

  it('knows nothing from one value', () => {
    expect(studentInterval([5])).toMatchObject({ estimate: 5, low: Number.NaN, high: Number.NaN });
  });
});
