/** How often a model is preferred to the baseline, from annotations. */
import { mean, standardError } from '../../data/statistics.js';

/** What a leaderboard of AlpacaEval says of a model; shares in percent. */
export interface WinRate {
  winRate: number;
  /** Standard error of `winRate`. */
  standardError: number;
  wins: number;
  losses: number;
  draws: number;
  /** Rows with a verdict. */
  total: number;
  /** Wins and half of the draws, without regard to how sure the judge was. */
  discreteWinRate: number;
}

/** The probability that the model is better, from a preference: 0 and 1.5 are draws. */
export function winShare(preference: number): number {
  return preference === 0 ? 0.5 : Math.min(1, Math.max(0, preference - 1));
}

/** @param shares The probability of each row that the model is better */
export function winRateOf(shares: readonly number[]): WinRate {
  const wins = shares.filter((share) => share > 0.5).length;
  const losses = shares.filter((share) => share < 0.5).length;
  const draws = shares.length - wins - losses;
  return {
    winRate: 100 * mean(shares),
    standardError: 100 * standardError(shares),
    ...{ wins, losses, draws, total: shares.length },
    discreteWinRate: (100 * (wins + draws / 2)) / shares.length,
  };
}
