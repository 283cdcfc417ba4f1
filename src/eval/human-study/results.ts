/** What people voted: win rate, and how far they agree, with one another and with the judge. */

import { mean, quantile } from '../../data/statistics.js';
import type { EvaluationResultInput } from '../results.js';
import { type BootstrapOptions, bootstrapInterval } from '../statistics/bootstrap.js';
import { groupBy } from '../statistics/group-by.js';
import type { Interval } from '../statistics/interval.js';
import type { TurnJudgment, Winner } from '../user-eval/judge-turns.js';
import { turnScores } from '../user-eval/win-rates.js';
import type { Vote } from './votes.js';

export interface StudyResults {
  /** Of the model against the log, ties as half; the interval by bootstrap over participants. */
  winRate: Interval;
  participants: { name: string; votes: number; winRate: number; medianSeconds: number }[];
  votes: { answer: number; original: number; tie: number };
  /** Share of votes for the left side, ties as half. */
  leftShare: number;
  /** Over pairs of votes by different people on the same turn; null where there are none. */
  agreement: { pairs: number; share: number; alpha: number } | null;
  /** Of each vote with the judge's user-eval verdict, over turns that both decided; null where there are none. */
  withJudge: { votes: number; share: number } | null;
}

const SCORES: Readonly<Record<Winner, number>> = { answer: 1, tie: 0.5, original: 0 };

/** @param judgments The judge's verdicts on the same answers. Default: none */
export function studyResults(
  votes: readonly Vote[],
  judgments: readonly TurnJudgment[] = [],
  options: BootstrapOptions = {},
): StudyResults {
  const byParticipant = [...groupBy(votes, ({ participant }) => participant)];
  const rate = (drawn: readonly (readonly Vote[])[]) =>
    mean(drawn.flat().map(({ winner }) => SCORES[winner]));
  const count = (winner: Winner) => votes.filter((vote) => vote.winner === winner).length;
  return {
    winRate: bootstrapInterval(
      byParticipant.map(([, own]) => own),
      rate,
      options,
    ),
    participants: byParticipant.map(([name, own]) => ({
      ...{ name, votes: own.length, winRate: rate([own]) },
      medianSeconds: quantile(
        own.map(({ seconds }) => seconds),
        0.5,
      ),
    })),
    votes: { answer: count('answer'), original: count('original'), tie: count('tie') },
    leftShare: mean(votes.map(({ winner, left }) => (winner === 'tie' ? 0.5 : winner === left ? 1 : 0))),
    agreement: agreementOf(votes),
    withJudge: judgeAgreement(votes, judgments),
  };
}

/**
 * Share of pairs of votes on the same turn that are the same, and Krippendorff's alpha for nominal data,
 * `1 - observed / expected disagreement`, with each turn's pairs weighted by `1 / (votes - 1)`.
 */
function agreementOf(votes: readonly Vote[]): StudyResults['agreement'] {
  const turns = [...groupBy(votes, ({ id }) => id).values()].filter((own) => own.length > 1);
  if (turns.length === 0) return null;
  const pairs = turns.flatMap((own) =>
    own.flatMap((vote, index) => own.slice(index + 1).map((other) => vote.winner === other.winner)),
  );
  const total = turns.reduce((sum, own) => sum + own.length, 0);
  const observed =
    turns.reduce((sum, own) => sum + differing(own.map(({ winner }) => winner)) / (own.length - 1), 0) /
    total;
  const expected = differing(turns.flat().map(({ winner }) => winner)) / (total * (total - 1));
  // Where everybody says the same about everything, there is nothing that chance could explain.
  const alpha = expected === 0 ? 1 : 1 - observed / expected;
  return { pairs: pairs.length, share: mean(pairs.map(Number)), alpha };
}

/** Ordered pairs of values that differ. */
function differing(values: readonly Winner[]): number {
  const counts = [...groupBy(values, (value) => value).values()].map(({ length }) => length);
  return values.length ** 2 - counts.reduce((sum, count) => sum + count ** 2, 0);
}

function judgeAgreement(
  votes: readonly Vote[],
  judgments: readonly TurnJudgment[],
): StudyResults['withJudge'] {
  const own = judgments.filter(({ axis }) => axis === 'user-eval');
  const judged = new Map(turnScores(own).map(({ id, score }) => [id, score]));
  const both = votes.flatMap(({ id, winner }) => {
    const score = judged.get(id);
    return winner === 'tie' || score === undefined || score === 0.5
      ? []
      : [(winner === 'answer') === score > 0.5];
  });
  return both.length === 0 ? null : { votes: both.length, share: mean(both.map(Number)) };
}

/** In the form in which all evaluations are shown. */
export function studyEvaluation(results: StudyResults, subject: string): EvaluationResultInput {
  const { winRate, participants, agreement, withJudge, leftShare } = results;
  const total = participants.reduce((sum, { votes }) => sum + votes, 0);
  return {
    kind: 'evaluation',
    format: 1,
    name: 'human-study',
    title: 'Human study',
    about: `${total} blind votes by ${participants.length} people between the model's answers and the log's own.`,
    subject,
    finishedAt: new Date().toISOString(),
    tables: [
      {
        title: 'Votes of people',
        note: 'Ties as half; the interval by drawing participants anew.',
        rowTitle: 'Participant',
        columns: [
          { title: 'Win rate', unit: 'share', better: 'higher', reference: 0.5 },
          { title: 'Votes', unit: 'count' },
          { title: 'Seconds a vote', unit: 'seconds' },
        ],
        rows: [
          {
            label: 'all',
            cells: [
              { value: winRate.estimate, low: winRate.low, high: winRate.high, count: total },
              { value: total },
              { value: null },
            ],
          },
          ...participants.map(({ name, votes, winRate: own, medianSeconds }) => ({
            label: name,
            cells: [{ value: own }, { value: votes }, { value: medianSeconds }],
          })),
        ],
      },
      {
        title: 'Agreement',
        note: "Alpha is Krippendorff's, nominal: 1 is full agreement, 0 what chance gives.",
        rowTitle: '',
        columns: [
          { title: 'Share', unit: 'share' },
          { title: 'Alpha', unit: 'number', digits: 2 },
          { title: 'Of', unit: 'count' },
        ],
        rows: [
          {
            label: 'people among one another',
            cells: [
              { value: agreement?.share ?? null },
              { value: agreement?.alpha ?? null },
              { value: agreement?.pairs ?? 0 },
            ],
          },
          {
            label: 'people with the judge',
            cells: [{ value: withJudge?.share ?? null }, { value: null }, { value: withJudge?.votes ?? 0 }],
          },
          {
            label: 'votes for the left side',
            cells: [{ value: leftShare }, { value: null }, { value: total }],
          },
        ],
      },
    ],
  };
}
