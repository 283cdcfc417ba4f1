/** The policy on one micro-batch of pairs: its loss, its metrics, and gradients if they are wanted. */

import type { PackedBatch } from '../data/pack.js';
import { packPairs, splitByTokenBudget } from '../data/pack.js';
import type { TokenizedPair } from '../data/tokenize.js';
import { dpoLossAndGradient, dpoLossFromTokens } from '../losses/dpo-loss-from-tokens.js';
import { type DpoOptions, lossCouplesPairs } from '../losses/dpo-options.js';
import type { LanguageModel } from '../models/language-model.js';
import { type DeviceBatch, placeBatch } from '../models/packed-batch.js';
import {
  backward,
  type CompletionScores,
  completionLogps,
  completionScores,
  forward,
  type GradientSink,
  type Keep,
  type ScoreOptions,
} from '../models/passes.js';
import { disposeAll, scope, tensor } from '../runtime/tensor.js';
import { fromTf, toTf } from '../runtime/tfjs/bridge.js';
import { tf } from '../runtime/tfjs/tf.js';

/** Log-probabilities of a pair's completion tokens under the reference. */
export interface PairLogps {
  chosen: Float32Array;
  rejected: Float32Array;
}

/** Gives the reference's log-probabilities of a pair. */
export type ReferenceLookup = (pair: TokenizedPair) => PairLogps;

export interface PassOptions {
  loss: DpoOptions;
  /** Most tokens in one packed row. A loss that couples the pairs of a batch takes all of them in one row. */
  tokenBudget: number;
  /** Packed rows are padded to a multiple of this, so that compiled shapes repeat. Default 1. */
  padToMultipleOf?: number;
}

export interface TrainingOptions {
  /** Whether a row of this many tokens is computed anew in the backward pass. */
  recompute: (row: PackedBatch) => boolean;
  /** What the gradients are multiplied by: one over the micro-batches of a step. */
  weight: number;
  /** Seed of dropout; undefined for none. */
  dropoutSeed?: number;
  sink: GradientSink;
}

/** What one response scored, summed over its tokens. */
export interface PairOutcome {
  loss: number;
  chosenReward: number;
  rejectedReward: number;
  chosenLogp: number;
  rejectedLogp: number;
}

/** Sums over completion tokens. */
export interface TokenStatistics {
  /** Of all of them, nats. */
  entropy: number;
  /** Chosen tokens that were the likeliest. */
  correct: number;
  meanLogits: [chosen: number, rejected: number];
  count: [chosen: number, rejected: number];
}

export interface PassResult {
  /** Mean over the pairs. */
  loss: number;
  pairs: PairOutcome[];
  /** Null where no gradients were computed. */
  statistics: TokenStatistics | null;
  /** Tokens that went through the model, each prompt once. */
  packedTokens: number;
}

/** Loss and metrics without gradients. */
export async function evaluatePairs(
  model: LanguageModel,
  pairs: readonly TokenizedPair[],
  reference: ReferenceLookup,
  options: PassOptions,
): Promise<PassResult> {
  return inRows(pairs, options, async (row, batch) => {
    const placed = placeBatch(model, row);
    try {
      const policy = await policyNumbers(model, placed, options.loss);
      const tokens = { ...tokensOf(row, batch), ...policy, referenceLogps: referenceLogps(row, reference) };
      const result = dpoLossFromTokens(tokens, options.loss);
      return {
        loss: result.loss,
        pairs: outcomes(result),
        statistics: null,
        packedTokens: row.inputIds.length,
      };
    } finally {
      disposeAll(placed.tensors);
    }
  });
}

/** Loss, metrics and gradients; each gradient goes to `training.sink` as soon as it is there. */
export async function trainOnPairs(
  model: LanguageModel,
  pairs: readonly TokenizedPair[],
  reference: ReferenceLookup,
  options: PassOptions,
  training: TrainingOptions,
): Promise<PassResult> {
  return inRows(pairs, options, async (row, batch) => {
    const placed = placeBatch(model, row);
    const keep: Keep = training.recompute(row) ? 'inputs' : 'everything';
    const seeded = training.dropoutSeed === undefined ? {} : { dropoutSeed: training.dropoutSeed };
    const state = await forward(model, placed, { keep, adapter: model.adapter, ...seeded });
    const scores = await completionScores(model, placed, state.hidden, scoreOptions(options.loss));
    try {
      const { result, dLogps } = lossAndGradient(
        row,
        batch,
        scores,
        referenceLogps(row, reference),
        options.loss,
        training.weight,
      );
      await backward(model, placed, state, scores, dLogps, training.sink);
      dLogps.dispose();
      return {
        loss: result.loss,
        pairs: outcomes(result),
        statistics: tokenStatistics(row, scores),
        packedTokens: row.inputIds.length,
      };
    } finally {
      disposeAll([scores, placed.tensors, state.hidden, state.layers]);
    }
  });
}

/** What the loss needs of the policy, as numbers. */
async function policyNumbers(model: LanguageModel, placed: DeviceBatch, loss: DpoOptions) {
  const { hidden } = await forward(model, placed, { keep: 'nothing', adapter: model.adapter });
  return scope(async () => {
    const scores: Pick<CompletionScores, 'logps' | 'logSumSquares'> = loss.useWeighting
      ? await completionScores(model, placed, hidden, scoreOptions(loss))
      : { logps: await completionLogps(model, placed, hidden) };
    hidden.dispose();
    return {
      policyLogps: scores.logps.data() as Float32Array,
      ...(scores.logSumSquares && { policyLogSumSquares: scores.logSumSquares.data() as Float32Array }),
    };
  });
}

function scoreOptions({ useWeighting = false }: DpoOptions): ScoreOptions {
  return { logSumSquares: useWeighting };
}

interface LossNumbers {
  loss: number;
  losses: ArrayLike<number>;
  chosenRewards: ArrayLike<number>;
  rejectedRewards: ArrayLike<number>;
  chosenLogps: ArrayLike<number>;
  rejectedLogps: ArrayLike<number>;
}

/** The loss by tfjs on the device, and its derivative with respect to each token's log-probability. */
function lossAndGradient(
  row: PackedBatch,
  batch: BatchTotals,
  scores: CompletionScores,
  reference: Float32Array,
  options: DpoOptions,
  weight: number,
) {
  return scope(() =>
    tidily(() => {
      const result = dpoLossAndGradient(
        {
          ...tokensOf(row, batch),
          policyLogps: toTf(scores.logps),
          referenceLogps: toTf(tensor('float32', [reference.length], reference)),
          ...(scores.logSumSquares && { policyLogSumSquares: toTf(scores.logSumSquares) }),
        },
        options,
      );
      const dLogps = fromTf(tf.mul(result.policyLogpsGradient, weight));
      const numbers: LossNumbers = {
        loss: result.loss.dataSync()[0] as number,
        losses: result.losses.dataSync(),
        chosenRewards: result.chosenRewards.dataSync(),
        rejectedRewards: result.rejectedRewards.dataSync(),
        chosenLogps: result.chosenLogps.dataSync(),
        rejectedLogps: result.rejectedLogps.dataSync(),
      };
      return { result: numbers, dLogps };
    }),
  );
}

/** tf.tidy for a result that holds none of tfjs' own tensors. */
function tidily<Result>(work: () => Result): Result {
  let result: Result | undefined;
  tf.tidy(() => {
    result = work();
  });
  return result as Result;
}

interface BatchTotals {
  pairCount: number;
  chosenTokenCount: number;
}

/** Runs a micro-batch as packed rows and puts their results together. */
async function inRows(
  pairs: readonly TokenizedPair[],
  { loss, tokenBudget, padToMultipleOf = 1 }: PassOptions,
  run: (row: PackedBatch, batch: BatchTotals) => Promise<PassResult>,
): Promise<PassResult> {
  const groups = lossCouplesPairs(loss)
    ? [pairs]
    : splitByTokenBudget(pairs, { maxTokens: tokenBudget, padToMultipleOf });
  const batch = {
    pairCount: pairs.length,
    chosenTokenCount: pairs.reduce((sum, pair) => sum + pair.chosenIds.length, 0),
  };
  let total: PassResult | undefined;
  for (const group of groups) {
    const result = await run(packPairs(group, { padToMultipleOf }), batch);
    total = total === undefined ? result : joined(total, result);
  }
  return total as PassResult;
}

function joined(a: PassResult, b: PassResult): PassResult {
  return {
    loss: a.loss + b.loss,
    pairs: [...a.pairs, ...b.pairs],
    statistics: a.statistics && b.statistics && addStatistics(a.statistics, b.statistics),
    packedTokens: a.packedTokens + b.packedTokens,
  };
}

/** Sums of two sets of statistics. */
export function addStatistics(a: TokenStatistics, b: TokenStatistics): TokenStatistics {
  const both = (x: [number, number], y: [number, number]): [number, number] => [x[0] + y[0], x[1] + y[1]];
  return {
    entropy: a.entropy + b.entropy,
    correct: a.correct + b.correct,
    meanLogits: both(a.meanLogits, b.meanLogits),
    count: both(a.count, b.count),
  };
}

function tokensOf(row: PackedBatch, batch: BatchTotals) {
  return { completionSegments: row.completionSegments, pairCount: row.pairs.length, batch };
}

function referenceLogps(row: PackedBatch, reference: ReferenceLookup): Float32Array {
  const all = new Float32Array(row.labels.length);
  let offset = 0;
  for (const pair of row.pairs) {
    const { chosen, rejected } = reference(pair);
    all.set(chosen, offset);
    all.set(rejected, offset + chosen.length);
    offset += chosen.length + rejected.length;
  }
  return all;
}

function outcomes(result: LossNumbers): PairOutcome[] {
  return Array.from(result.losses, (loss, i) => ({
    loss,
    chosenReward: result.chosenRewards[i] as number,
    rejectedReward: result.rejectedRewards[i] as number,
    chosenLogp: result.chosenLogps[i] as number,
    rejectedLogp: result.rejectedLogps[i] as number,
  }));
}

function tokenStatistics({ completionSegments }: PackedBatch, scores: CompletionScores): TokenStatistics {
  const entropy = scores.entropy.data() as Float32Array;
  const correct = scores.correct.data() as Float32Array;
  const meanLogits = scores.meanLogits.data() as Float32Array;
  const total: TokenStatistics = { entropy: 0, correct: 0, meanLogits: [0, 0], count: [0, 0] };
  completionSegments.forEach((segment, i) => {
    const side = (segment & 1) as 0 | 1;
    total.entropy += entropy[i] as number;
    if (side === 0) total.correct += correct[i] as number;
    total.meanLogits[side] += meanLogits[i] as number;
    total.count[side]++;
  });
  return total;
}
