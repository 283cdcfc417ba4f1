import { describe, expect, it } from 'vitest';
import { drawnDropout, integers } from './support.js';

const SHAPE: [number, number] = [200, 16];

describe('the dropout of a low-rank update', () => {
  const draw = (rate: number, first: number, second: number) =>
    drawnDropout(rate, integers([first, second]), SHAPE).data;

  it.each([0.1, 0.5, 0.9])('sets a share of %d to zero and scales up the rest', (rate) => {
    const data = draw(rate, 1, 2);
    const kept = data.filter((x) => x !== 0);
    for (const x of kept) expect(x).toBeCloseTo(1 / (1 - rate), 4);
    // Four standard deviations of a binomial share of 3,200.
    const doubt = 4 * Math.sqrt((rate * (1 - rate)) / data.length);
    expect(Math.abs(kept.length / data.length - (1 - rate))).toBeLessThan(doubt);
  });

  it('is the same for the same seed, and another for another', () => {
    expect(draw(0.5, 3, 4)).toEqual(draw(0.5, 3, 4));
    const others = [draw(0.5, 4, 4), draw(0.5, 3, 5)];
    for (const other of others) {
      const agreement = draw(0.5, 3, 4).filter((x, i) => x === other[i]).length / other.length;
      expect(agreement).toBeGreaterThan(0.4);
      expect(agreement).toBeLessThan(0.6);
    }
  });

  it('of rate 0 is none', () => {
    expect(new Set(draw(0, 1, 1))).toEqual(new Set([1]));
  });
});
