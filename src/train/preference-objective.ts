/** DPO and its relatives as an objective: the policy held against the reference, on packed rows of pairs. */

import type { DpoOptions } from '../losses/dpo-options.js';
import type { LanguageModel } from '../models/language-model.js';
import type { MemoryPlan } from './memory-plan.js';
import type { Objective } from './objective.js';
import {
  evaluatePairs,
  type PassOptions,
  type PassResult,
  type ReferenceLookup,
  trainOnPairs,
} from './preference-pass.js';
import { evaluationMetrics, passMetrics } from './step-metrics.js';
import { trainableParameters } from './trainable-parameters.js';

export interface PreferenceInputs {
  model: LanguageModel;
  /** The loss. */
  options: DpoOptions;
  reference: ReferenceLookup;
  plan: MemoryPlan;
}

/** Compiled functions are made for token counts that are multiples of this. */
const XLA_BUCKET = 128;

export function preferenceObjective(inputs: PreferenceInputs): Objective<PassResult> {
  const { model, options, reference, plan } = inputs;
  const passOptions: PassOptions = {
    loss: options,
    tokenBudget: plan.tokenBudget,
    ...(model.functions.xla && { padToMultipleOf: XLA_BUCKET }),
  };
  const dropout = (model.adapter?.config.dropout ?? 0) > 0;
  return {
    parameters: trainableParameters(model),
    train: (pairs, { weight, seed, sink }) =>
      trainOnPairs(model, pairs, reference, passOptions, {
        recompute: plan.recompute,
        weight,
        ...(dropout && { dropoutSeed: seed }),
        sink,
      }),
    evaluate: (pairs) => evaluatePairs(model, pairs, reference, passOptions),
    metrics: passMetrics,
    evaluationMetrics,
  };
}
