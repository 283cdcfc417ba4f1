/**
 * The length-controlled win rate of AlpacaEval 2 (Dubois et al. 2024): what the judge would prefer if both answers were as
 * long. A logistic model predicts the judge's preference from the difference of lengths, the instruction's difficulty and
 * the model itself; the win rate is its prediction where the difference is zero.
 */

import { mean, standardError } from '../../data/statistics.js';
import { ShapeError } from '../../errors.js';
import { fitLogistic, logistic, softplus } from '../statistics/logistic-regression.js';
import type { GamedBaselines } from './gamed-baselines.js';

/** One instruction, in the order of the benchmark. */
export interface JudgedLengths {
  /** Characters of the baseline's answer and of the model's, as Python counts them. */
  baselineLength: number;
  modelLength: number;
  /** Probability that the model's answer is better; null where there is no verdict. */
  share: number | null;
}

export interface LengthControlled {
  /** Percent. */
  winRate: number;
  /** Standard error of the predictions' mean. */
  standardError: number;
  weights: { length: number; difficulty: number; model: number };
  /** Inverse strength of the penalty, as cross-validation chose it. */
  c: number;
}

/** How much all annotations of the gamed baselines together count, as a share of the model's own. */
const BASELINE_WEIGHT = 0.2;
const GAMED_BASELINES = 2;
const FOLDS = 5;
/** Inverse strengths of the penalty that are tried: scikit-learn's ten from 1e-4 to 1e4. */
const STRENGTHS = Array.from({ length: 10 }, (_, index) => 10 ** (-4 + (8 * index) / 9));

/**
 * `q = sigma(w1 tanh(d / std(d)) + w2 difficulty + w3)`, `d` the baseline's length minus the model's, fitted with an L1
 * penalty whose strength is chosen by cross-validation (5 folds, log loss), as alpaca_eval does it
 * (`length_controlled_v1`). The gamed baselines' rows take part with a small weight and without `w3`, so that `w1` and
 * `w2` do not stray.
 *
 * @param rows One for each instruction of the benchmark, in its order
 * @throws ShapeError where there are more or fewer
 */
export function lengthControlledWinRate(
  rows: readonly JudgedLengths[],
  { difficulty, rows: gamed }: GamedBaselines,
): LengthControlled {
  if (rows.length !== difficulty.length) {
    throw new ShapeError(
      `The length-controlled win rate needs each of the ${difficulty.length} instructions, in their order; got ${rows.length}.`,
    );
  }
  const deltas = rows.map(({ baselineLength, modelLength }) => baselineLength - modelLength);
  const deviation = standardError(deltas) * Math.sqrt(deltas.length);
  // Answers that are all longer by the same: there is no length effect to be told.
  const scale = deviation > 0 ? deviation : 1;
  const observations: Observation[] = [
    ...gamed.map((row) => ({
      features: [row.tanhLength, row.difficulty, 0],
      target: row.share,
      weight: BASELINE_WEIGHT / GAMED_BASELINES,
    })),
    ...rows.flatMap(({ share }, index) => {
      if (share === null) return [];
      const features = [Math.tanh((deltas[index] as number) / scale), difficulty[index] as number, 1];
      return [{ features, target: share, weight: 1 }];
    }),
  ];
  const c = chooseStrength(observations);
  const [length = 0, hardness = 0, model = 0] = fitModel(observations, c);
  const predictions = difficulty.map((each) => logistic(hardness * each + model));
  return {
    winRate: 100 * mean(predictions),
    standardError: 100 * standardError(predictions),
    weights: { length, difficulty: hardness, model },
    c,
  };
}

interface Observation {
  features: number[];
  target: number;
  weight: number;
}

function fitModel(observations: readonly Observation[], c: number, start?: readonly number[]): number[] {
  return fitLogistic(
    {
      features: observations.map(({ features }) => features),
      targets: observations.map(({ target }) => target),
      weights: observations.map(({ weight }) => weight),
    },
    { l1Penalty: 1 / c, ...(start === undefined ? {} : { start }) },
  );
}

/** The strength whose mean loss over the folds is the smallest; of equal ones the strongest penalty. */
function chooseStrength(observations: readonly Observation[]): number {
  const last = observations.length - 1;
  // scikit-learn deals groups of one size out from the last to the first.
  const foldOf = (index: number) => (last - index) % FOLDS;
  const losses = STRENGTHS.map(() => 0);
  for (let fold = 0; fold < FOLDS; fold++) {
    const train = observations.filter((_, index) => foldOf(index) !== fold);
    const held = observations.filter((_, index) => foldOf(index) === fold);
    let start: number[] | undefined;
    for (const [index, strength] of STRENGTHS.entries()) {
      start = fitModel(train, strength, start);
      losses[index] = (losses[index] as number) + lossOf(held, start);
    }
  }
  return STRENGTHS[losses.indexOf(Math.min(...losses))] as number;
}

function lossOf(observations: readonly Observation[], coefficients: readonly number[]): number {
  return mean(
    observations.map(({ features, target, weight }) => {
      const z = features.reduce((sum, x, j) => sum + x * (coefficients[j] as number), 0);
      return weight * (softplus(z) - target * z);
    }),
  );
}
