/** Rewards of pairs on packed rows: the loss, its metrics, and gradients if they are wanted. */

import type { PackedBatch } from '../../data/pack.js';
import { packPairs, splitByTokenBudget } from '../../data/pack.js';
import type { TokenizedPair } from '../../data/tokenize.js';
import { bradleyTerryLoss } from '../../losses/bradley-terry-loss.js';
import type { LanguageModel } from '../../models/language-model.js';
import { placeBatch } from '../../models/packed-batch.js';
import { backwardFrom, forward, type GradientSink } from '../../models/passes.js';
import { disposeAll, scope, type Tensor } from '../../runtime/tensor.js';
import { fromTf, toTf } from '../../runtime/tfjs/bridge.js';
import { tf } from '../../runtime/tfjs/tf.js';
import type { PassOutcome } from '../objective.js';
import { headBackward, type RewardHead, responseRewards } from './reward-head.js';

/** The rewards of one pair's responses. */
export interface PairRewards {
  chosen: number;
  rejected: number;
}

export interface RewardPass extends PassOutcome {
  pairs: PairRewards[];
}

export interface RewardLoss {
  /** c of `bradleyTerryLoss`; null for none. */
  centerRewardsCoefficient: number | null;
}

export interface RewardPassOptions extends RewardLoss {
  /** Most tokens in one packed row. */
  tokenBudget: number;
  /** Packed rows are padded to a multiple of this, so that compiled shapes repeat. Default 1. */
  padToMultipleOf?: number;
}

export interface RewardTrainingOptions {
  /** Whether a row is computed anew in the backward pass. */
  recompute: (row: PackedBatch) => boolean;
  /** What the gradients are multiplied by: one over the micro-batches of a step. */
  weight: number;
  /** Seed of dropout; undefined for none. */
  dropoutSeed?: number;
  sink: GradientSink;
}

/** Loss and rewards without gradients. */
export async function evaluateRewards(
  model: LanguageModel,
  head: RewardHead,
  pairs: readonly TokenizedPair[],
  options: RewardPassOptions,
): Promise<RewardPass> {
  const passes: RewardPass[] = [];
  for (const row of packedRows(pairs, options)) {
    const placed = placeBatch(model, row);
    try {
      const rewards = await scope(async () => {
        const { hidden } = await forward(model, placed, { keep: 'nothing', adapter: model.adapter });
        return pairRewards((await responseRewards(model, head, placed, hidden)).data() as Float32Array);
      });
      passes.push({ ...rewardLoss(rewards, row.pairs, options), packedTokens: row.inputIds.length });
    } finally {
      disposeAll(placed.tensors);
    }
  }
  return joined(passes);
}

/** Loss, rewards and gradients; each gradient goes to `training.sink` as soon as it is there. */
export async function trainOnRewards(
  model: LanguageModel,
  head: RewardHead,
  pairs: readonly TokenizedPair[],
  options: RewardPassOptions,
  training: RewardTrainingOptions,
): Promise<RewardPass> {
  const passes: RewardPass[] = [];
  for (const row of packedRows(pairs, options)) {
    const placed = placeBatch(model, row);
    const keep = training.recompute(row) ? ('inputs' as const) : ('everything' as const);
    const seeded = training.dropoutSeed === undefined ? {} : { dropoutSeed: training.dropoutSeed };
    try {
      const rewards = await scope(async () => {
        const state = await forward(model, placed, { keep, adapter: model.adapter, ...seeded });
        const { hidden } = state;
        const values = await responseRewards(model, head, placed, hidden);
        const dRewards = rewardGradient(values, row.pairs, options, training.weight / pairs.length);
        await backwardFrom(model, placed, state, training.sink, () =>
          headBackward(model, head, placed, hidden, dRewards, training.sink),
        );
        return pairRewards(values.data() as Float32Array);
      });
      passes.push({ ...rewardLoss(rewards, row.pairs, options), packedTokens: row.inputIds.length });
    } finally {
      disposeAll(placed.tensors);
    }
  }
  return joined(passes);
}

function packedRows(pairs: readonly TokenizedPair[], options: RewardPassOptions): PackedBatch[] {
  const { tokenBudget, padToMultipleOf = 1 } = options;
  return splitByTokenBudget(pairs, { maxTokens: tokenBudget, padToMultipleOf }).map((group) =>
    packPairs(group, { padToMultipleOf }),
  );
}

/** `[chosen, rejected, chosen, ...]` by pairs. */
export function pairRewards(rewards: ArrayLike<number>): PairRewards[] {
  return Array.from({ length: rewards.length / 2 }, (_, pair) => ({
    chosen: rewards[2 * pair] as number,
    rejected: rewards[2 * pair + 1] as number,
  }));
}

/** The mean loss of pairs, beside their rewards. */
export function rewardLoss(
  rewards: PairRewards[],
  pairs: readonly TokenizedPair[],
  { centerRewardsCoefficient }: RewardLoss,
): Pick<RewardPass, 'loss' | 'pairs'> {
  const losses = bradleyTerryLoss(
    rewards.map(({ chosen }) => chosen),
    rewards.map(({ rejected }) => rejected),
    { margin: marginsOf(pairs), centerRewardsCoefficient },
  );
  return { loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length, pairs: rewards };
}

/**
 * `scale` times the gradient of the sum of the pairs' losses, float32 `[2B]`, by tfjs on the device.
 *
 * @param rewards float32 `[2B]`: chosen of pair 0, rejected of pair 0, chosen of pair 1, ...
 */
export function rewardGradient(
  rewards: Tensor,
  pairs: readonly TokenizedPair[],
  { centerRewardsCoefficient }: RewardLoss,
  scale: number,
): Tensor {
  const margin = marginsOf(pairs);
  return scope(() => {
    let result: Tensor | undefined;
    tf.tidy(() => {
      const gradient = tf.grad((all) => {
        const [chosen, rejected] = tf.unstack(tf.reshape(all, [-1, 2]), 1) as [tf.Tensor, tf.Tensor];
        return tf.sum(bradleyTerryLoss(chosen, rejected, { margin, centerRewardsCoefficient }));
      });
      result = fromTf(tf.mul(gradient(toTf(rewards)), scale));
    });
    return result as Tensor;
  });
}

/** A pair without a margin has one of 0. */
function marginsOf(pairs: readonly TokenizedPair[]): number[] {
  return pairs.map(({ margin = 0 }) => margin);
}

/** One pass out of those over the rows of a micro-batch. */
function joined(passes: readonly RewardPass[]): RewardPass {
  const pairs = passes.flatMap((pass) => pass.pairs);
  const weighted = passes.reduce((sum, pass) => sum + pass.loss * pass.pairs.length, 0);
  return {
    loss: weighted / pairs.length,
    pairs,
    packedTokens: passes.reduce((sum, pass) => sum + pass.packedTokens, 0),
  };
}
