import { ConfigError } from '../../errors.js';

/** A figure and how far it can be trusted. */
export interface Interval {
  estimate: number;
  low: number;
  high: number;
  /** Share of such intervals that hold the true value: 0.95. */
  confidence: number;
}

export const DEFAULT_CONFIDENCE = 0.95;

/** @throws ConfigError unless it is between 0 and 1 */
export function checkConfidence(confidence: number): void {
  if (!(confidence > 0 && confidence < 1)) {
    throw new ConfigError(`The confidence must be between 0 and 1, got ${confidence}.`);
  }
}
