/** Win rates out of verdicts, their intervals, and how much the judge went by the place. */

import { mean } from '../../data/statistics.js';
import { type BootstrapOptions, bootstrapInterval } from '../statistics/bootstrap.js';
import { groupBy } from '../statistics/group-by.js';
import type { Interval } from '../statistics/interval.js';
import type { TurnJudgment, Winner } from './judge-turns.js';
import type { Axis } from './options.js';

/** What one turn counts for on one axis. */
export interface TurnScore {
  id: string;
  user: string;
  kind: TurnJudgment['kind'];
  /** Mean over both orders: 1 for a win, 1/2 for a tie, 0 for a loss. */
  score: number;
}

/** What was found on one axis. */
export interface AxisResult {
  axis: Axis;
  /** Mean score of the turns; the interval by bootstrap over users. */
  all: Interval;
  initial: Interval;
  followUp: Interval;
  turns: { all: number; initial: number; followUp: number };
  users: number;
  /** Turns won in both orders, lost in both, and the rest: ties and verdicts that turned round with the order. */
  wins: number;
  losses: number;
  undecided: number;
  /** Turns that a verdict is missing of: they count for nothing. */
  unjudged: number;
  /** Share of verdicts for the answer that stood first, ties as half: 1/2 of a judge that is not led by the place. */
  firstPlaceShare: number;
  /** Share of turns on which both orders gave the same winner. */
  consistency: number;
}

const SCORES: Readonly<Record<Winner, number>> = { answer: 1, tie: 0.5, original: 0 };

/** The axes in the order in which they come. */
export function axisResults(
  judgments: readonly TurnJudgment[],
  options: BootstrapOptions = {},
): AxisResult[] {
  const axes = [...new Set(judgments.map(({ axis }) => axis))];
  return axes.map((axis) =>
    axisResult(
      axis,
      judgments.filter((judgment) => judgment.axis === axis),
      options,
    ),
  );
}

/** The score of each turn of one axis that has a verdict in both orders. */
export function turnScores(judgments: readonly TurnJudgment[]): TurnScore[] {
  return bothOrders(judgments).map(({ turn: { id, user, kind }, winners }) => ({
    ...{ id, user, kind },
    score: mean(winners.map((winner) => SCORES[winner])),
  }));
}

/** Mean score; whole users are drawn, since one user's turns hang together. */
export function winRate(scores: readonly TurnScore[], options: BootstrapOptions): Interval {
  const users = [...groupBy(scores, ({ user }) => user).values()];
  return bootstrapInterval(
    users,
    (drawn) => mean(drawn.flatMap((turns) => turns.map(({ score }) => score))),
    options,
  );
}

function axisResult(axis: Axis, judgments: readonly TurnJudgment[], options: BootstrapOptions): AxisResult {
  const scores = turnScores(judgments);
  const pairs = bothOrders(judgments);
  const of = (kind: TurnScore['kind']) => scores.filter((score) => score.kind === kind);
  const [initial, followUp] = [of('initial'), of('follow-up')];
  const count = (wanted: number) => scores.filter(({ score }) => score === wanted).length;
  const [wins, losses] = [count(1), count(0)];
  return {
    axis,
    all: winRate(scores, options),
    initial: winRate(initial, options),
    followUp: winRate(followUp, options),
    turns: { all: scores.length, initial: initial.length, followUp: followUp.length },
    users: new Set(scores.map(({ user }) => user)).size,
    ...{ wins, losses, undecided: scores.length - wins - losses },
    unjudged: new Set(judgments.map(({ id }) => id)).size - scores.length,
    firstPlaceShare: mean(judgments.flatMap(firstPlace)),
    consistency: mean(pairs.map(({ winners: [one, other] }) => (one === other ? 1 : 0))),
  };
}

interface BothOrders {
  turn: TurnJudgment;
  winners: [Winner, Winner];
}

function bothOrders(judgments: readonly TurnJudgment[]): BothOrders[] {
  const turns = groupBy(judgments, ({ id }) => id);
  return [...turns.values()].flatMap((ofTurn) => {
    const winner = (order: TurnJudgment['order']) => ofTurn.find((each) => each.order === order)?.winner;
    const [one, other] = [winner('answer-first'), winner('original-first')];
    return one === undefined || other === undefined
      ? []
      : [{ turn: ofTurn[0] as TurnJudgment, winners: [one, other] as [Winner, Winner] }];
  });
}

function firstPlace({ winner, order }: TurnJudgment): number[] {
  if (winner === undefined) return [];
  if (winner === 'tie') return [0.5];
  return [(winner === 'answer') === (order === 'answer-first') ? 1 : 0];
}
