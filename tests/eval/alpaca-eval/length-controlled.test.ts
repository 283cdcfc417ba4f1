import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createRandom } from '../../../src/data/random.js';
import type { AlpacaAnnotation } from '../../../src/eval/alpaca-eval/annotations.js';
import { type GamedBaselines, readGamedBaselines } from '../../../src/eval/alpaca-eval/gamed-baselines.js';
import { leaderboardCsv, leaderboardRow, sortRows } from '../../../src/eval/alpaca-eval/leaderboard.js';
import { lengthControlledWinRate } from '../../../src/eval/alpaca-eval/length-controlled.js';
import { winRateOf, winShare } from '../../../src/eval/alpaca-eval/win-rate.js';
import { fitLogistic, logistic } from '../../../src/eval/statistics/logistic-regression.js';

const reference = join(process.env.PERSONA_DPO_REFERENCE_DIR ?? '', 'data', 'alpaca_eval');
const isMissing = process.env.PERSONA_DPO_REFERENCE_DIR === undefined || !existsSync(reference);
const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-alpaca-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface PublishedModel {
  model: string;
  published: Record<string, number | null>;
  weights: { tanh: number; difficulty: number; bias: number };
  len_model: number[];
  preference: (number | null)[];
}

/** Annotations as the leaderboard's files have them, with outputs of the published lengths. */
function annotationsOf(
  { model, len_model, preference }: PublishedModel,
  baseline: number[],
): AlpacaAnnotation[] {
  return preference.map((value, index) => ({
    instruction: `${index}`,
    output_1: 'x'.repeat(baseline[index] ?? 0),
    output_2: 'y'.repeat(len_model[index] ?? 0),
    generator_1: 'gpt4_1106_preview',
    generator_2: model,
    annotator: 'weighted_alpaca_eval_gpt4_turbo',
    preference: value,
  }));
}

describe.skipIf(isMissing)(
  "AlpacaEval's leaderboard (skipped without PERSONA_DPO_REFERENCE_DIR)",
  async () => {
    const gamed = isMissing ? undefined : await reconstructed();
    const models = isMissing
      ? []
      : readFileSync(join(reference, 'annotations_compact.jsonl'), 'utf8')
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as PublishedModel);
    const baseline = isMissing
      ? []
      : (JSON.parse(
          readFileSync(join(reference, 'len_baseline_gpt4_1106_preview.json'), 'utf8'),
        ) as number[]);

    /** The shared file has another name for the column, since its preferences only add up to those of the original. */
    async function reconstructed(): Promise<GamedBaselines> {
      const csv = readFileSync(join(reference, 'df_gamed_reconstructed.csv'), 'utf8');
      const file = join(folder, 'df_gamed.csv');
      writeFileSync(file, csv.replace('preference_pseudo', 'preference'));
      return readGamedBaselines(file);
    }

    test('there are ten models', () => expect(models).toHaveLength(10));

    test.each(models)('$model: raw and length-controlled rate within 0.1 point', (model) => {
      const { published, weights } = model;
      const row = leaderboardRow(annotationsOf(model, baseline), gamed ?? null, 'annotations.json');
      expect(Math.abs(row.winRate - Number(published.win_rate))).toBeLessThan(0.001);
      expect(row.standardError).toBeCloseTo(Number(published.standard_error), 6);
      expect(row.discreteWinRate).toBeCloseTo(Number(published.discrete_win_rate), 6);
      expect([row.wins, row.losses, row.draws, row.total]).toEqual([
        ...[published.n_wins, published.n_wins_base, published.n_draws, published.n_total],
      ]);
      expect(Math.floor(row.averageLength)).toBe(published.avg_length);
      const controlled = row.lengthControlled;
      expect(Math.abs((controlled?.winRate ?? 0) - Number(published.length_controlled_winrate))).toBeLessThan(
        0.1,
      );
      expect(controlled?.weights.length).toBeCloseTo(weights.tanh, 1);
      expect(controlled?.weights.difficulty).toBeCloseTo(weights.difficulty, 1);
      if (published.lc_standard_error != null) {
        expect(controlled?.standardError).toBeCloseTo(published.lc_standard_error, 2);
      }
    });
  },
);

/** Data of the model itself: with known weights. */
function synthetic(modelWeight: number, lengthWeight: number) {
  const random = createRandom(3);
  const count = 805;
  const difficulty = Array.from({ length: count }, () => random.normal());
  const lengths = Array.from({ length: count }, () => 1000 + Math.round(300 * random.normal()));
  const deltas = lengths.map((length) => 1000 - length);
  const mean = deltas.reduce((sum, delta) => sum + delta, 0) / count;
  const deviation = Math.sqrt(deltas.reduce((sum, delta) => sum + (delta - mean) ** 2, 0) / (count - 1));
  const rows = lengths.map((modelLength, index) => ({
    baselineLength: 1000,
    modelLength,
    share: logistic(
      lengthWeight * Math.tanh((deltas[index] as number) / deviation) +
        0.7 * (difficulty[index] as number) +
        modelWeight,
    ),
  }));
  return { rows, gamed: { difficulty, rows: [] } };
}

describe('the length-controlled win rate', () => {
  test('is what the judge would say of answers of one length', () => {
    const { rows, gamed } = synthetic(0, -2);
    const { winRate, weights } = lengthControlledWinRate(rows, gamed);
    expect(weights.length).toBeCloseTo(-2, 1);
    expect(weights.model).toBeCloseTo(0, 1);
    const expected = gamed.difficulty.map((each) => logistic(0.7 * each));
    expect(winRate).toBeCloseTo((100 * expected.reduce((a, b) => a + b, 0)) / 805, 0);
  });

  test('does not change where all answers become longer, as the raw one does', () => {
    const { rows, gamed } = synthetic(0.5, -2);
    const longer = rows.map((row) => ({ ...row, modelLength: row.modelLength + 10 }));
    const [before, after] = [rows, longer].map((each) => lengthControlledWinRate(each, gamed).winRate);
    expect(Math.abs((before ?? 0) - (after ?? 0))).toBeLessThan(1);
  });

  test('leaves out rows without a verdict, and needs all instructions', () => {
    const { rows, gamed } = synthetic(0.5, -2);
    const some = rows.map((row, index) => (index % 7 === 0 ? { ...row, share: null } : row));
    const full = lengthControlledWinRate(rows, gamed).winRate;
    expect(Math.abs(lengthControlledWinRate(some, gamed).winRate - full)).toBeLessThan(1);
    expect(() => lengthControlledWinRate(rows.slice(1), gamed)).toThrow('each of the 805 instructions');
  });
});

describe('win rates', () => {
  test('read preferences as alpaca_eval does', () => {
    expect([0, 1, 1.25, 1.5, 2].map(winShare)).toEqual([0.5, 0, 0.25, 0.5, 1]);
    expect(winRateOf([1, 0.75, 0.5, 0])).toMatchObject({
      winRate: 56.25,
      wins: 2,
      losses: 1,
      draws: 1,
      discreteWinRate: 62.5,
    });
  });

  test('are sorted, and written as a leaderboard', () => {
    const annotation: AlpacaAnnotation = {
      ...{ instruction: 'q', output_1: 'a', output_2: '𝕏y', generator_1: 'base', preference: 2 },
      generator_2: 'good, "very"',
    };
    const good = leaderboardRow([annotation, { ...annotation, preference: null }], null, 'f');
    const bad = leaderboardRow([{ ...annotation, preference: 1, generator_2: 'bad' }], null, 'f');
    expect(good).toMatchObject({ winRate: 100, withoutVerdict: 1, averageLength: 2, lengthControlled: null });
    const csv = leaderboardCsv(sortRows([bad, good])).split('\n');
    expect(csv[0]).toBe(
      ',win_rate,standard_error,n_wins,n_wins_base,n_draws,n_total,discrete_win_rate,avg_length,length_controlled_winrate,lc_standard_error',
    );
    expect(csv[1]).toBe('"good, ""very""",100,NaN,1,0,0,1,100,2,,');
    expect(() => leaderboardRow([{ ...annotation, preference: null }], null, 'f.json')).toThrow(
      'f.json: no row of it has a verdict',
    );
  });
});

describe('logistic regression', () => {
  test('finds the weights that the data were made with', () => {
    const random = createRandom(8);
    const features = Array.from({ length: 500 }, () => [random.normal(), random.normal(), 1]);
    const targets = features.map(([a = 0, b = 0]) => logistic(1.5 * a - 0.5 * b + 0.25));
    const fitted = fitLogistic({ features, targets });
    for (const [index, expected] of [1.5, -0.5, 0.25].entries())
      expect(fitted[index]).toBeCloseTo(expected, 4);
  });

  test('of one feature that is 1 gives the log odds of the weighted mean; a penalty shrinks it to nothing', () => {
    const data = { features: [[1], [1], [1]], targets: [1, 0, 0.5], weights: [3, 1, 1] };
    expect(logistic(fitLogistic(data)[0] ?? 0)).toBeCloseTo(3.5 / 5, 6);
    expect(fitLogistic(data, { l1Penalty: 10 })).toEqual([0]);
    expect(() => fitLogistic({ features: [[1]], targets: [] })).toThrow('as many targets');
  });
});
