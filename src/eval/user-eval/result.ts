/** What UserEval found, in the form in which all evaluations are shown. */

import type { EvaluationResultInput } from '../results.js';
import { groupBy } from '../statistics/group-by.js';
import type { Interval } from '../statistics/interval.js';
import type { AnsweredTurn } from './answer-turns.js';
import type { AxisComparison } from './compare.js';
import type { TurnJudgment } from './judge-turns.js';
import type { AxisResult } from './win-rates.js';

/** Answers that are shown side by side. */
const SHOWN_ANSWERS = 12;

type Table = EvaluationResultInput['tables'][number];
type Cell = Table['rows'][number]['cells'][number];

/** Win rates by axis, as in Tables 2 and 5. */
export function winRateTable(results: readonly AxisResult[], confidence: number): Table {
  const column = (title: string) => ({
    title,
    unit: 'share' as const,
    better: 'higher' as const,
    reference: 0.5,
  });
  return {
    title: 'Win rates',
    note: `Against the log's own answers, ties as half; ${100 * confidence} % intervals by drawing users anew.`,
    rowTitle: 'Axis',
    columns: [
      column('Win rate'),
      column('Initial turns'),
      column('Follow-up turns'),
      { title: 'Wins', unit: 'count' },
      { title: 'Undecided', unit: 'count' },
      { title: 'Losses', unit: 'count' },
      { title: 'Unjudged', unit: 'count', better: 'lower' },
    ],
    rows: results.map(({ axis, all, initial, followUp, turns, wins, undecided, losses, unjudged }) => ({
      label: axis,
      cells: [
        rate(all, turns.all),
        rate(initial, turns.initial),
        rate(followUp, turns.followUp),
        ...[wins, undecided, losses, unjudged].map((value) => ({ value })),
      ],
    })),
  };
}

/** How far the judge can be trusted. */
export function judgeTable(results: readonly AxisResult[]): Table {
  return {
    title: 'Position bias of the judge',
    note: 'Every pair of answers was judged in both orders.',
    rowTitle: 'Axis',
    columns: [
      { title: 'Verdicts for the first answer', unit: 'share', reference: 0.5 },
      { title: 'Same winner in both orders', unit: 'share', better: 'higher' },
    ],
    rows: results.map(({ axis, firstPlaceShare, consistency }) => ({
      label: axis,
      cells: [finite(firstPlaceShare), finite(consistency)],
    })),
  };
}

/** Two models side by side. */
export function comparisonTable(
  comparisons: readonly AxisComparison[],
  [first, second]: readonly [string, string],
): Table {
  return {
    title: 'Difference, turn by turn',
    note: `${first} less ${second}, over the turns on which both were judged; intervals by drawing users anew.`,
    rowTitle: 'Axis',
    columns: [
      { title: first, unit: 'share' },
      { title: second, unit: 'share' },
      { title: 'Difference', unit: 'share', reference: 0 },
    ],
    rows: comparisons.map((each) => ({
      label: each.axis,
      cells: [finite(each.first), finite(each.second), rate(each.difference, each.turns)],
    })),
  };
}

/** A few turns with both answers and what the judge made of them, one a user as far as there are so many. */
export function answersToLookAt(
  turns: readonly AnsweredTurn[],
  judgments: readonly TurnJudgment[],
  personas: ReadonlyMap<string, string>,
): NonNullable<EvaluationResultInput['answers']> {
  const byUser = [...groupBy(turns, ({ user }) => user).values()];
  const firsts = byUser.flatMap(([turn]) => turn ?? []);
  const others = byUser.flatMap(([, ...rest]) => rest);
  return [...firsts, ...others].slice(0, SHOWN_ANSWERS).map((turn) => {
    const persona = personas.get(turn.user);
    return {
      user: turn.user,
      ...(persona === undefined ? {} : { persona }),
      prompt: turn.prompt,
      answers: [
        { label: 'log', text: turn.original },
        { label: 'model', text: turn.answer, note: verdictsOf(turn.id, judgments) },
      ],
    };
  });
}

function verdictsOf(id: string, judgments: readonly TurnJudgment[]): string {
  const own = judgments.filter((judgment) => judgment.id === id);
  const byAxis = [...groupBy(own, ({ axis }) => axis)];
  return byAxis
    .map(([axis, verdicts]) => `${axis}: ${verdicts.map(({ winner }) => winner ?? 'no verdict').join(', ')}`)
    .join('; ');
}

function rate({ estimate, low, high }: Interval, count: number): Cell {
  return count === 0 ? { value: null, count } : { value: estimate, low, high, count };
}

function finite(value: number): Cell {
  return { value: Number.isFinite(value) ? value : null };
}
