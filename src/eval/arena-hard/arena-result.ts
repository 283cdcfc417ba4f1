import type { ChatUsage } from '../../llm/chat-model.js';
import type { EvaluationResultInput } from '../results.js';
import type { ArenaScore } from './score.js';

export interface ArenaRow extends ArenaScore {
  model: string;
  questions: number;
}

export interface ArenaRun {
  rows: readonly ArenaRow[];
  judge: string;
  baseline: string;
  seed: number;
  seconds?: number;
  usage?: ChatUsage;
}

/** Scores, the best first, in the form that the report reads. */
export function arenaResult({
  rows,
  judge,
  baseline,
  seed,
  seconds,
  usage,
}: ArenaRun): EvaluationResultInput {
  const sorted = [...rows].sort((a, b) => b.score.estimate - a.score.estimate);
  return {
    kind: 'evaluation',
    format: 1,
    name: 'arena-hard',
    title: 'Arena-Hard 0.1',
    about: `How often a model would win against ${baseline} by the Bradley-Terry model, clear wins counting more.`,
    subject: rows.length === 1 ? (rows[0]?.model ?? '') : '',
    finishedAt: new Date().toISOString(),
    settings: { judge, baseline, seed },
    tables: [
      {
        title: 'Arena-Hard 0.1: scores',
        note: 'Intervals of 95 % by drawing the battles again.',
        rowTitle: 'model',
        columns: [
          { title: 'score', unit: 'percent', better: 'higher', reference: 50 },
          ...(['clear wins', 'wins', 'ties', 'losses', 'clear losses', 'none'] as const).map((title) => ({
            title,
            unit: 'count' as const,
          })),
        ],
        rows: sorted.map(({ model, score, verdicts, questions }) => ({
          label: model,
          cells: [
            Number.isNaN(score.estimate)
              ? { value: null, count: questions }
              : { value: score.estimate, low: score.low, high: score.high, count: questions },
            ...Object.values(verdicts).map((value) => ({ value })),
          ],
        })),
      },
    ],
    ...(seconds === undefined ? {} : { seconds }),
    ...(usage === undefined ? {} : { usage }),
  };
}
