import type { ChatUsage } from '../../llm/chat-model.js';
import type { EvaluationCell, EvaluationResultInput } from '../results.js';
import { normalQuantile } from '../statistics/normal.js';
import type { LeaderboardRow } from './leaderboard.js';

export interface AlpacaRun {
  rows: readonly LeaderboardRow[];
  judge: string;
  seed: number;
  seconds?: number;
  usage?: ChatUsage;
}

/** Rows of a leaderboard in the form that the report reads. */
export function alpacaResult({ rows, judge, seed, seconds, usage }: AlpacaRun): EvaluationResultInput {
  const [first] = rows;
  const without = rows.reduce((sum, row) => sum + row.withoutVerdict, 0);
  return {
    kind: 'evaluation',
    format: 1,
    name: 'alpaca-eval',
    title: 'AlpacaEval 2',
    about:
      `How often the judge prefers the model's answers to those of ${first?.baseline ?? 'the baseline'}. ` +
      `${without} instructions have no verdict and are left out.`,
    subject: rows.length === 1 ? (first?.name ?? '') : '',
    finishedAt: new Date().toISOString(),
    settings: { judge, seed },
    tables: [
      {
        title: 'AlpacaEval 2: win rates',
        note: 'Intervals of 95 % from the standard errors over instructions.',
        rowTitle: 'model',
        columns: [
          { title: 'length-controlled', unit: 'percent', better: 'higher', reference: 50 },
          { title: 'raw', unit: 'percent', better: 'higher', reference: 50 },
          { title: 'length', unit: 'count' },
        ],
        rows: rows.map((row) => ({ label: row.name, cells: cellsOf(row) })),
      },
    ],
    ...(seconds === undefined ? {} : { seconds }),
    ...(usage === undefined ? {} : { usage }),
  };
}

function cellsOf(row: LeaderboardRow): EvaluationCell[] {
  const { lengthControlled, winRate, standardError, total, averageLength } = row;
  return [
    lengthControlled === null
      ? { value: null }
      : cell(lengthControlled.winRate, lengthControlled.standardError, total),
    cell(winRate, standardError, total),
    { value: Math.round(averageLength) },
  ];
}

function cell(value: number, standardError: number, count: number): EvaluationCell {
  if (!Number.isFinite(standardError)) return { value, count };
  const half = normalQuantile(0.975) * standardError;
  return { value, low: Math.max(0, value - half), high: Math.min(100, value + half), count };
}
