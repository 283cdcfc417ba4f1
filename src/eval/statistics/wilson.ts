import { ConfigError } from '../../errors.js';
import { checkConfidence, DEFAULT_CONFIDENCE, type Interval } from './interval.js';
import { normalQuantile } from './normal.js';

/**
 * Wilson's score interval of a share (Wilson 1927), for trials that do not depend on one another:
 * `(p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)`. It stays within [0, 1], also of few trials.
 *
 * @param successes from 0 to `trials`; a tie may count as half
 * @returns the estimate `successes / trials`; of no trials NaN, and all of [0, 1]
 * @throws ConfigError for counts that cannot be
 */
export function wilsonInterval(
  successes: number,
  trials: number,
  { confidence = DEFAULT_CONFIDENCE }: { confidence?: number } = {},
): Interval {
  checkConfidence(confidence);
  if (!(trials >= 0 && successes >= 0 && successes <= trials)) {
    throw new ConfigError(`Expected from 0 to ${trials} successes of ${trials} trials, got ${successes}.`);
  }
  if (trials === 0) return { estimate: Number.NaN, low: 0, high: 1, confidence };
  const share = successes / trials;
  const squared = normalQuantile((1 + confidence) / 2) ** 2;
  const scale = 1 + squared / trials;
  const centre = (share + squared / (2 * trials)) / scale;
  const half =
    Math.sqrt(squared * ((share * (1 - share)) / trials + squared / (4 * trials * trials))) / scale;
  return {
    estimate: share,
    // Where all or none succeed the formula gives 1 or 0, but for rounding.
    low: successes === 0 ? 0 : centre - half,
    high: successes === trials ? 1 : centre + half,
    confidence,
  };
}
