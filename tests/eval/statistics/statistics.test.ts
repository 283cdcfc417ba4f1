import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRandom } from '../../../src/data/random.js';
import { mean, quantile, standardError } from '../../../src/data/statistics.js';
import { ConfigError } from '../../../src/errors.js';
import { bootstrapDraws, bootstrapInterval } from '../../../src/eval/statistics/bootstrap.js';
import { normalQuantile } from '../../../src/eval/statistics/normal.js';
import { wilsonInterval } from '../../../src/eval/statistics/wilson.js';

describe('figures of a list', () => {
  test("quantiles are numpy's, and nothing is not zero", () => {
    expect(quantile([3, 1, 2, 4], 0.5)).toBe(2.5);
    expect(quantile([3, 1, 2, 4], 0.1)).toBeCloseTo(1.3, 12);
    expect(quantile([7], 0.975)).toBe(7);
    expect(quantile([], 0.5)).toBeNaN();
    expect(mean([])).toBeNaN();
    // numpy: std([1, 2, 3, 4], ddof=1) / 2
    expect(standardError([1, 2, 3, 4])).toBeCloseTo(0.6454972243679028, 14);
  });
});

describe('the normal distribution', () => {
  test('gives the z of a share', () => {
    expect(normalQuantile(0.975)).toBeCloseTo(1.959963984540054, 8);
    expect(normalQuantile(0.001)).toBeCloseTo(-3.090232306167813, 7);
    expect(normalQuantile(0.5)).toBeCloseTo(0, 8);
    expect(() => normalQuantile(1)).toThrow(ConfigError);
  });
});

describe("Wilson's interval", () => {
  test('is that of statsmodels', () => {
    // statsmodels.stats.proportion.proportion_confint(8, 10, method="wilson")
    const { estimate, low, high } = wilsonInterval(8, 10);
    expect(estimate).toBe(0.8);
    expect(low).toBeCloseTo(0.4901625, 6);
    expect(high).toBeCloseTo(0.9433178, 6);
  });

  test('stays within 0 and 1 and holds its estimate', () => {
    fc.assert(
      fc.property(fc.nat(50), fc.nat(50), (wins, losses) => {
        const { estimate, low, high } = wilsonInterval(wins, wins + losses);
        expect(low).toBeGreaterThanOrEqual(0);
        expect(high).toBeLessThanOrEqual(1);
        if (wins + losses > 0) {
          expect(low - 1e-12).toBeLessThanOrEqual(estimate);
          expect(high + 1e-12).toBeGreaterThanOrEqual(estimate);
        }
      }),
    );
    expect(() => wilsonInterval(3, 2)).toThrow('from 0 to 2 successes');
  });
});

describe('the bootstrap', () => {
  test('repeats itself, and differs with the seed', () => {
    const values = Array.from({ length: 30 }, (_, i) => i);
    const first = bootstrapInterval(values, mean, { seed: 4 });
    expect(bootstrapInterval(values, mean, { seed: 4 })).toEqual(first);
    expect(bootstrapInterval(values, mean, { seed: 5 })).not.toEqual(first);
    expect(bootstrapDraws(values, mean, { resamples: 20 }).slice(0, 5)).toEqual(
      bootstrapDraws(values, mean, { resamples: 5 }),
    );
  });

  test('of a mean comes close to the normal interval', () => {
    const random = createRandom(1);
    const values = Array.from({ length: 400 }, () => random.normal());
    const { estimate, low, high } = bootstrapInterval(values, mean, { resamples: 4000 });
    const half = 1.96 * standardError(values);
    expect(low).toBeCloseTo(estimate - half, 1);
    expect(high).toBeCloseTo(estimate + half, 1);
  });

  test('is wider where measurements hang together', () => {
    const users = Array.from({ length: 20 }, (_, i) => Array.from({ length: 10 }, () => i % 2));
    const share = (drawn: readonly (readonly number[])[]) => mean(drawn.flat());
    const byUser = bootstrapInterval(users, share);
    const byTurn = bootstrapInterval(users.flat(), mean);
    expect(byUser.estimate).toBe(0.5);
    expect(byUser.high - byUser.low).toBeGreaterThan(2 * (byTurn.high - byTurn.low));
  });

  test('of nothing knows nothing, and refuses options that cannot be', () => {
    expect(bootstrapInterval([], mean)).toMatchObject({ estimate: Number.NaN, low: Number.NaN });
    expect(() => bootstrapInterval([1], mean, { confidence: 95 })).toThrow(ConfigError);
    expect(() => bootstrapInterval([1], mean, { resamples: 0 })).toThrow(ConfigError);
  });
});
