/** Intervals by drawing again from what was measured (Efron 1979). */
import { createRandom } from '../../data/random.js';
import { quantile } from '../../data/statistics.js';
import { ConfigError } from '../../errors.js';
import { checkConfidence, DEFAULT_CONFIDENCE, type Interval } from './interval.js';

export interface BootstrapOptions {
  /** How many times as many units as there are are drawn, with replacement. Default 1000. */
  resamples?: number;
  /** Default 0.95. */
  confidence?: number;
  /** The same seed, units and statistic give the same interval. Default 0. */
  seed?: number;
}

/**
 * The percentile interval of a statistic. What is drawn are whole units: where several measurements depend on one
 * another (the turns of a user, the samples of a problem), the unit is what holds them together, and the interval then
 * is as wide as it should be.
 *
 * Draws for which the statistic is not finite (no unit of the kind it looks at was drawn) are left out.
 *
 * @param statistic Of a list of units, in which one may stand several times. Not called where there are none
 * @returns NaN for all where there are no units
 * @throws ConfigError for options out of range
 */
export function bootstrapInterval<Unit>(
  units: readonly Unit[],
  statistic: (drawn: readonly Unit[]) => number,
  options: BootstrapOptions = {},
): Interval {
  const { confidence = DEFAULT_CONFIDENCE } = options;
  if (units.length === 0) {
    checkConfidence(confidence);
    return { estimate: Number.NaN, low: Number.NaN, high: Number.NaN, confidence };
  }
  const drawn = bootstrapDraws(units, statistic, options).filter(Number.isFinite);
  const tail = (1 - confidence) / 2;
  return {
    estimate: statistic(units),
    low: quantile(drawn, tail),
    high: quantile(drawn, 1 - tail),
    confidence,
  };
}

/** The statistic of each draw, in the order of the draws; of no units none. */
export function bootstrapDraws<Unit>(
  units: readonly Unit[],
  statistic: (drawn: readonly Unit[]) => number,
  { resamples = 1000, confidence = DEFAULT_CONFIDENCE, seed = 0 }: BootstrapOptions = {},
): number[] {
  checkConfidence(confidence);
  if (!Number.isInteger(resamples) || resamples < 1) {
    throw new ConfigError(`The number of resamples must be an integer from 1, got ${resamples}.`);
  }
  if (units.length === 0) return [];
  return Array.from({ length: resamples }, (_, index) => {
    // A stream for each draw: the first thousand are the same whether or not more are made.
    const random = createRandom(seed, index);
    return statistic(units.map(() => units[random.int(units.length)] as Unit));
  });
}
