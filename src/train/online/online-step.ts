/** The two halves of an online step: pairs from fresh samples, and one update on them. */

import type { TokenizedPair } from '../../data/tokenize.js';
import type { LanguageModel } from '../../models/language-model.js';
import type { AdamW } from '../adamw.js';
import { GradientStore } from '../gradient-store.js';
import type { MemoryPlan } from '../memory-plan.js';
import { preferenceObjective } from '../preference-objective.js';
import type { PairLogps } from '../preference-pass.js';
import { passSeed, tokensAsCounted, updateWeights } from '../update.js';
import { type Choice, choosePair } from './choose-pair.js';
import type { OnlineReference } from './online-reference.js';
import type { ResolvedOnlineTrainOptions } from './options.js';
import type { OnlinePrompt } from './prompts.js';
import { divergenceMetrics } from './rollout-metrics.js';
import { type Group, type RewardSettings, sampleAndScore } from './rollouts.js';
import type { Sample, Sampler } from './sampler.js';
import { seedOf } from './seeds.js';

/** What came of the samples of a step. */
export interface StepPairs {
  groups: Group[];
  /** Of each group. */
  choices: Choice[];
  /** Of the groups that have one. */
  pairs: TokenizedPair[];
  /** Reward of the chosen minus that of the rejected answer, of each pair. */
  margins: number[];
  /** How many steps old the weights are that the samples come from. */
  staleness: number;
}

export interface SamplingInputs {
  sampler: Sampler;
  rewards: RewardSettings;
  options: Pick<
    ResolvedOnlineTrainOptions,
    'seed' | 'numGenerations' | 'generationBatchSize' | 'shuffleRewards'
  >;
  signal: AbortSignal;
}

/** Samples, scores and pairs after `step` finished steps. */
export async function sampleStep(
  { sampler, rewards, options, signal }: SamplingInputs,
  prompts: readonly OnlinePrompt[],
  step: number,
  onProgress: (written: number, scored: number) => void,
): Promise<StepPairs> {
  const { seed, numGenerations, shuffleRewards } = options;
  const staleness = step - (await sampler.prepare(step, false));
  const groups = await sampleAndScore(sampler, rewards, {
    ...{ prompts, samples: numGenerations, signal, onProgress },
    seeds: prompts.map((_, index) => seedOf(seed, 'samples', step, index)),
    groupsAtOnce: groupsAtOnce(options.generationBatchSize, numGenerations),
  });
  const made: StepPairs = { groups, choices: [], pairs: [], margins: [], staleness };
  for (const [index, group] of groups.entries()) {
    const shuffleSeed = shuffleRewards ? seedOf(seed, 'shuffle', step, index) : null;
    addPair(made, sampler, group, choosePair(group.samples, { shuffleSeed }));
  }
  return made;
}

/** Groups whose samples are half of what is written at a time: the other half goes on while they are scored. */
export function groupsAtOnce(generationBatchSize: number, samples: number): number {
  return Math.max(1, Math.floor(generationBatchSize / 2 / samples));
}

function addPair(made: StepPairs, sampler: Sampler, { prompt, samples }: Group, choice: Choice): void {
  if ('reason' in choice) {
    made.choices.push(choice);
    return;
  }
  const [chosen, rejected] = [samples[choice.chosen]!, samples[choice.rejected]!];
  const result = sampler.pairOf(prompt, chosen as Sample, rejected as Sample);
  if ('reason' in result) {
    made.choices.push({ reason: 'not-trainable' });
    return;
  }
  made.choices.push(choice);
  made.pairs.push(result.pair);
  made.margins.push((chosen.reward as number) - (rejected.reward as number));
}

export interface LearningInputs {
  model: LanguageModel;
  plan: MemoryPlan;
  reference: OnlineReference;
  options: ResolvedOnlineTrainOptions;
}

/** What an update is told of where the run stands. */
export interface UpdateContext {
  optimizer: AdamW;
  /** Steps finished before. */
  step: number;
  learningRate: number;
  /** The newest checkpoint, for errors. */
  checkpoint: string | null;
}

export interface Learned {
  /** Those of `train`, and the divergence from the reference, all before the update. */
  metrics: Record<string, number>;
  /** Tokens of the pairs as TRL counts them. */
  numTokens: number;
  /** Tokens that went through the model for the update. */
  packedTokens: number;
}

/** Gives the function that updates a model on the pairs of one step after another. */
export function learner({ model, plan, reference, options }: LearningInputs) {
  const known = new Map<TokenizedPair, PairLogps>();
  const objective = preferenceObjective({
    ...{ model, plan, options },
    reference: (pair) => known.get(pair) as PairLogps,
  });
  const { seed, maxGradNorm } = options;

  async function learn(pairs: readonly TokenizedPair[], context: UpdateContext): Promise<Learned> {
    const { optimizer, step, learningRate, checkpoint } = context;
    const referenceLogps = await reference.logps(pairs);
    known.clear();
    for (const [i, pair] of pairs.entries()) known.set(pair, referenceLogps[i] as PairLogps);
    const gradients = new GradientStore();
    try {
      const pass = await objective.train(pairs, {
        weight: 1,
        seed: passSeed(seed, step),
        sink: (...gradient) => gradients.add(...gradient),
      });
      const gradNorm = updateWeights({
        ...{ optimizer, gradients, loss: pass.loss, learningRate, maxGradNorm },
        ...{ step: step + 1, pairs, checkpoint },
      });
      const policyLogps = pass.pairs.map(({ chosenLogp, rejectedLogp }) => ({
        ...{ chosen: chosenLogp, rejected: rejectedLogp },
      }));
      return {
        metrics: {
          ...objective.metrics(pass),
          ...divergenceMetrics(policyLogps, referenceLogps),
          grad_norm: gradNorm,
        },
        numTokens: pairs.reduce((sum, pair) => sum + tokensAsCounted(pair), 0),
        packedTokens: pass.packedTokens,
      };
    } finally {
      gradients.dispose();
    }
  }
  return { parameters: objective.parameters, learn };
}
