/** The score of Arena-Hard: how often a model would win against the baseline. */

import { mean, quantile } from '../../data/statistics.js';
import { ConfigError } from '../../errors.js';
import { type BootstrapOptions, bootstrapDraws } from '../statistics/bootstrap.js';
import type { Interval } from '../statistics/interval.js';
import type { ArenaVerdict } from './verdict.js';

/** Both games of a question: the baseline is A in the first and B in the second. Null where there is no verdict. */
export type ArenaGames = readonly [ArenaVerdict | null, ArenaVerdict | null];

export interface ArenaScoreOptions extends BootstrapOptions {
  /** What a clear win counts as, in plain ones. Default 3. */
  weight?: number;
  /**
   * What is drawn again for the interval: battles, as published, in which a clear win is three of its own; or questions
   * with both of their games, which hang together, for an interval that is as wide as it should be. Default `battle`.
   */
  unit?: 'battle' | 'question';
}

export interface ArenaScore {
  /** Percent. */
  score: Interval;
  /** How often each verdict was given for the model, and none. */
  verdicts: Record<'clear wins' | 'wins' | 'ties' | 'losses' | 'clear losses' | 'none', number>;
}

/**
 * The win rate that the Bradley-Terry model gives: with `p = sigma(r - r_baseline)` the rating `r` that makes the battles
 * most likely. Each verdict is a battle, a clear one `weight` of them, a tie half a win. Since every battle is against
 * the baseline, whose rating is fixed, the likelihood of a model's battles has its maximum where `p` is their mean:
 * logistic regression, as published, comes to the same.
 *
 * Games without a verdict are no battles.
 *
 * @returns NaN where there is no battle
 * @throws ConfigError for options out of range
 */
export function arenaScore(
  questions: readonly ArenaGames[],
  { weight = 3, unit = 'battle', ...bootstrap }: ArenaScoreOptions = {},
): ArenaScore {
  if (!Number.isInteger(weight) || weight < 1) {
    throw new ConfigError(`The weight of a clear win must be an integer from 1, got ${weight}.`);
  }
  const byQuestion = questions.map((games) => battlesOf(games, weight));
  const units = unit === 'question' ? byQuestion : byQuestion.flat().map((battle) => [battle]);
  const statistic = (drawn: readonly (readonly number[])[]) => 100 * mean(drawn.flat());
  const { confidence = 0.95 } = bootstrap;
  const draws = bootstrapDraws(units, statistic, bootstrap).filter(Number.isFinite);
  const tail = (1 - confidence) / 2;
  return {
    score: {
      estimate: statistic(units),
      low: quantile(draws, tail),
      high: quantile(draws, 1 - tail),
      confidence,
    },
    verdicts: countVerdicts(questions),
  };
}

/** Wins of the model, from 0 to 1, a battle each. */
export function battlesOf(games: ArenaGames, weight: number): number[] {
  return games.flatMap((verdict, game) => {
    if (verdict === null) return [];
    const own = game === 0 ? TURNED[verdict] : verdict;
    const times = own.includes('>>') ? weight : 1;
    return Array.from({ length: times }, () => (own === 'A=B' ? 0.5 : own.startsWith('A') ? 1 : 0));
  });
}

/** With A and B exchanged. */
const TURNED: Readonly<Record<ArenaVerdict, ArenaVerdict>> = {
  'A>>B': 'B>>A',
  'A>B': 'B>A',
  'A=B': 'A=B',
  'B>A': 'A>B',
  'B>>A': 'A>>B',
};

const NAMES: Readonly<Record<ArenaVerdict, keyof ArenaScore['verdicts']>> = {
  'A>>B': 'clear wins',
  'A>B': 'wins',
  'A=B': 'ties',
  'B>A': 'losses',
  'B>>A': 'clear losses',
};

function countVerdicts(questions: readonly ArenaGames[]): ArenaScore['verdicts'] {
  const counts = { 'clear wins': 0, wins: 0, ties: 0, losses: 0, 'clear losses': 0, none: 0 };
  for (const games of questions) {
    for (const [game, verdict] of games.entries()) {
      if (verdict === null) counts.none++;
      else counts[NAMES[game === 0 ? TURNED[verdict] : verdict]]++;
    }
  }
  return counts;
}
