/** Rows of AlpacaEval's leaderboard, from annotations. */

import { mean } from '../../data/statistics.js';
import { DataError } from '../../errors.js';
import type { AlpacaAnnotation } from './annotations.js';
import { ALPACA_BASELINE, ALPACA_QUESTIONS, type GamedBaselines } from './gamed-baselines.js';
import { type LengthControlled, lengthControlledWinRate } from './length-controlled.js';
import { type WinRate, winRateOf, winShare } from './win-rate.js';

export interface LeaderboardRow extends WinRate {
  name: string;
  baseline: string;
  /** Mean characters of the model's outputs. */
  averageLength: number;
  /** Rows without a verdict. */
  withoutVerdict: number;
  /** Null where it was not asked for. */
  lengthControlled: LengthControlled | null;
}

/**
 * The row of one model.
 *
 * @param annotations In the order of the benchmark, `output_1` the baseline's
 * @param gamed For the length-controlled rate; null for the raw one alone
 * @param file Names the annotations in errors
 * @throws DataError where there is no verdict at all; where the length-controlled rate is asked for and the annotations
 *   are not the 805 of AlpacaEval 2 against its baseline
 */
export function leaderboardRow(
  annotations: readonly AlpacaAnnotation[],
  gamed: GamedBaselines | null,
  file: string,
): LeaderboardRow {
  const [first] = annotations;
  const shares = annotations.map(({ preference }) => (preference === null ? null : winShare(preference)));
  const given = shares.filter((share) => share !== null);
  if (first === undefined || given.length === 0) throw new DataError('no row of it has a verdict', { file });
  if (gamed !== null) checkVersion(annotations, file);
  const lengths = annotations.map(({ output_1: baseline, output_2: model }) => [
    lengthOf(baseline),
    lengthOf(model),
  ]) as [number, number][];
  return {
    name: first.generator_2,
    baseline: first.generator_1,
    ...winRateOf(given),
    averageLength: mean(lengths.map(([, model]) => model)),
    withoutVerdict: shares.length - given.length,
    lengthControlled:
      gamed === null
        ? null
        : lengthControlledWinRate(
            lengths.map(([baselineLength, modelLength], index) => ({
              baselineLength,
              modelLength,
              share: shares[index] ?? null,
            })),
            gamed,
          ),
  };
}

function checkVersion(annotations: readonly AlpacaAnnotation[], file: string): void {
  const baseline = annotations[0]?.generator_1 ?? '';
  if (annotations.length === ALPACA_QUESTIONS && baseline === ALPACA_BASELINE) return;
  throw new DataError(
    `the length-controlled win rate is defined for the ${ALPACA_QUESTIONS} instructions of AlpacaEval 2 against ` +
      `${ALPACA_BASELINE}; these are ${annotations.length} annotations against ${baseline}`,
    { file },
  );
}

/** As Python counts: code points. */
function lengthOf(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** The best first: by the length-controlled rate where there is one. */
export function sortRows(rows: readonly LeaderboardRow[]): LeaderboardRow[] {
  const key = ({ lengthControlled, winRate }: LeaderboardRow) => lengthControlled?.winRate ?? winRate;
  return [...rows].sort((a, b) => key(b) - key(a));
}

/** The rows as alpaca_eval's `leaderboard.csv` has them. */
export function leaderboardCsv(rows: readonly LeaderboardRow[]): string {
  const head = [
    ...['', 'win_rate', 'standard_error', 'n_wins', 'n_wins_base', 'n_draws', 'n_total', 'discrete_win_rate'],
    ...['avg_length', 'length_controlled_winrate', 'lc_standard_error'],
  ];
  const lines = rows.map((row) => [
    quoted(row.name),
    ...[row.winRate, row.standardError, row.wins, row.losses, row.draws, row.total, row.discreteWinRate],
    ...[Math.floor(row.averageLength), row.lengthControlled?.winRate, row.lengthControlled?.standardError],
  ]);
  return `${[head, ...lines].map((line) => line.map((cell) => cell ?? '').join(',')).join('\n')}\n`;
}

function quoted(name: string): string {
  return /[",\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name;
}
