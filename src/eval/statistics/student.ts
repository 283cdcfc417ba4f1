/** Intervals by Student's t distribution. */

import { mean, standardError } from '../../data/statistics.js';
import { studentQuantile } from '../../data/student-quantile.js';
import { checkConfidence, DEFAULT_CONFIDENCE, type Interval } from './interval.js';

/**
 * The interval of a mean of few values that are taken for normal: `mean -+ t sqrt(variance / n)`.
 *
 * @returns NaN for both ends of fewer than two values
 */
export function studentInterval(
  values: readonly number[],
  { confidence = DEFAULT_CONFIDENCE }: { confidence?: number } = {},
): Interval {
  checkConfidence(confidence);
  const estimate = mean(values);
  if (values.length < 2) return { estimate, low: Number.NaN, high: Number.NaN, confidence };
  const half = studentQuantile((1 + confidence) / 2, values.length - 1) * standardError(values);
  return { estimate, low: estimate - half, high: estimate + half, confidence };
}
