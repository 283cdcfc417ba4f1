/** Two models on the same turns. */

import { mean } from '../../data/statistics.js';
import { DataError } from '../../errors.js';
import { type BootstrapOptions, bootstrapInterval } from '../statistics/bootstrap.js';
import { groupBy } from '../statistics/group-by.js';
import type { Interval } from '../statistics/interval.js';
import type { TurnJudgment } from './judge-turns.js';
import type { Axis } from './options.js';
import { turnScores } from './win-rates.js';

export interface AxisComparison {
  axis: Axis;
  /** Win rates against the log's own answers, over the turns that both were judged on. */
  first: number;
  second: number;
  /** `first - second`, turn by turn; the interval by bootstrap over users. */
  difference: Interval;
  turns: number;
  users: number;
}

interface Paired {
  user: string;
  first: number;
  second: number;
}

/**
 * Compares two evaluations turn by turn: what differs between turns and users cancels out, so that the interval is
 * narrower than that of two win rates.
 *
 * @throws DataError where they have no turn in common on any axis: they are of different logs or draws of users
 */
export function compareEvaluations(
  first: readonly TurnJudgment[],
  second: readonly TurnJudgment[],
  options: BootstrapOptions = {},
): AxisComparison[] {
  const axes = [...new Set(first.map(({ axis }) => axis))];
  const comparisons = axes.flatMap((axis) => {
    const pairs = pairedScores(ofAxis(first, axis), ofAxis(second, axis));
    return pairs.length === 0 ? [] : [comparison(axis, pairs, options)];
  });
  if (comparisons.length > 0) return comparisons;
  throw new DataError(
    'expected two evaluations with turns in common, found none: evaluate both models with the same conversations, users and seed.',
  );
}

function ofAxis(judgments: readonly TurnJudgment[], axis: Axis): TurnJudgment[] {
  return judgments.filter((judgment) => judgment.axis === axis);
}

function pairedScores(first: readonly TurnJudgment[], second: readonly TurnJudgment[]): Paired[] {
  const others = new Map(turnScores(second).map(({ id, score }) => [id, score]));
  return turnScores(first).flatMap(({ id, user, score }) => {
    const other = others.get(id);
    return other === undefined ? [] : [{ user, first: score, second: other }];
  });
}

function comparison(axis: Axis, pairs: readonly Paired[], options: BootstrapOptions): AxisComparison {
  const users = [...groupBy(pairs, ({ user }) => user).values()];
  const difference = (drawn: readonly (readonly Paired[])[]) =>
    mean(drawn.flatMap((turns) => turns.map((turn) => turn.first - turn.second)));
  return {
    axis,
    first: mean(pairs.map((pair) => pair.first)),
    second: mean(pairs.map((pair) => pair.second)),
    difference: bootstrapInterval(users, difference, options),
    turns: pairs.length,
    users: users.length,
  };
}
