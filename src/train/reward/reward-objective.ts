/** Bradley-Terry as an objective: over the whole model (an adapter or all weights), or over the head alone. */

import type { LanguageModel } from '../../models/language-model.js';
import { keep, tensor } from '../../runtime/tensor.js';
import type { MemoryPlan } from '../memory-plan.js';
import type { Objective } from '../objective.js';
import { trainableParameters } from '../trainable-parameters.js';
import type { FeatureLookup } from './features.js';
import { type RewardHead, SCORE_ID } from './reward-head.js';
import { rewardEvaluationMetrics, rewardMetrics } from './reward-metrics.js';
import {
  evaluateRewards,
  pairRewards,
  type RewardLoss,
  type RewardPass,
  type RewardPassOptions,
  rewardGradient,
  rewardLoss,
  trainOnRewards,
} from './reward-pass.js';

/** Compiled functions are made for token counts that are multiples of this. */
const XLA_BUCKET = 128;

export interface ModelObjectiveInputs {
  model: LanguageModel;
  head: RewardHead;
  loss: RewardLoss;
  plan: MemoryPlan;
}

/** Trains the head with the model's adapter, or with all its weights where it has none. */
export function modelObjective({ model, head, loss, plan }: ModelObjectiveInputs): Objective<RewardPass> {
  const options: RewardPassOptions = {
    centerRewardsCoefficient: loss.centerRewardsCoefficient,
    tokenBudget: plan.tokenBudget,
    ...(model.functions.xla && { padToMultipleOf: XLA_BUCKET }),
  };
  const dropout = (model.adapter?.config.dropout ?? 0) > 0;
  return {
    parameters: [...trainableParameters(model), head.parameter],
    train: (pairs, { weight, seed, sink }) =>
      trainOnRewards(model, head, pairs, options, {
        recompute: plan.recompute,
        weight,
        ...(dropout && { dropoutSeed: seed }),
        sink,
      }),
    evaluate: (pairs) => evaluateRewards(model, head, pairs, options),
    metrics: rewardMetrics,
    evaluationMetrics: rewardEvaluationMetrics,
  };
}

/** Trains the head alone, on features that are known: a logistic regression of their differences. */
export function headObjective(
  head: RewardHead,
  features: FeatureLookup,
  loss: RewardLoss,
): Objective<RewardPass> {
  const rewardsOf = (rows: readonly Float32Array[]) => {
    const weight = head.values();
    return Float32Array.from(rows, (row) => row.reduce((sum, value, i) => sum + value * weight[i]!, 0));
  };
  return {
    parameters: [head.parameter],
    async train(pairs, { weight, sink }) {
      const rows = pairs.flatMap((pair) => features(pair));
      const values = rewardsOf(rows);
      const rewards = tensor('float32', [values.length], values);
      const dRewards = rewardGradient(rewards, pairs, loss, weight / pairs.length);
      sink(SCORE_ID, keep(headGradient(rows, dRewards.data() as Float32Array)));
      rewards.dispose();
      dRewards.dispose();
      return { ...rewardLoss(pairRewards(values), pairs, loss), packedTokens: 0 };
    },
    async evaluate(pairs) {
      const values = rewardsOf(pairs.flatMap((pair) => features(pair)));
      return { ...rewardLoss(pairRewards(values), pairs, loss), packedTokens: 0 };
    },
    metrics: rewardMetrics,
    evaluationMetrics: rewardEvaluationMetrics,
  };
}

/** `Σ dr_i f_i`, float32 `[1, D]`. */
function headGradient(rows: readonly Float32Array[], dRewards: Float32Array) {
  const width = rows[0]!.length;
  const gradient = new Float64Array(width);
  rows.forEach((row, i) => {
    for (let j = 0; j < width; j++) gradient[j]! += row[j]! * dRewards[i]!;
  });
  return tensor('float32', [1, width], Float32Array.from(gradient));
}
