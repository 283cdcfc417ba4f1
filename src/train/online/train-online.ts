/** A whole online run: from files of prompts and a reward model to a trained adapter or model in the output folder. */

import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../../data/atomic-write.js';
import { loadPersonaTemplate } from '../../data/persona-prompt.js';
import { requireTemplate } from '../../data/prompt.js';
import type { Tokenizer } from '../../data/tokenizer.js';
import { ConfigError } from '../../errors.js';
import type { HubOptions } from '../../models/hub-options.js';
import type { LoadedModel } from '../../models/load-model.js';
import { openAdapter } from '../../models/peft.js';
import type { RewardScorer } from '../../rewards/reward-model.js';
import { checkFile } from '../check-inputs.js';
import type { TrainOutcome } from '../events.js';
import { planMemory } from '../memory-plan.js';
import { momentsOf } from '../optimizer-names.js';
import { idleLoraOptions } from '../options.js';
import { checkDiskSpace, outputFiles } from '../output-folder.js';
import { loadPolicy, savePolicy, writePolicy } from '../policy.js';
import { openRunLog } from '../run-log.js';
import { diskBytes } from '../run-results.js';
import { TrainingBatches } from '../training-batches.js';
import { openTrainingRun, startState, type TrainingRun } from '../training-run.js';
import type { OnlineTrainEvent, OnlineTrainSummary } from './events.js';
import { openOnlineReference } from './online-reference.js';
import { OnlineTrainer } from './online-trainer.js';
import {
  type OnlineTrainOptions,
  onlineOptionSet,
  onlineTrajectoryOptions,
  type ResolvedOnlineTrainOptions,
  resolveOnlineTrainOptions,
} from './options.js';
import { loadOnlinePrompts, type OnlinePrompt, type OnlinePrompts } from './prompts.js';
import { noRolloutLog, openRolloutLog } from './rollout-log.js';
import { localSampler, type Sampler } from './sampler.js';
import { withScorer } from './scorer.js';
import { onlineState } from './state.js';
import { VllmSampler } from './vllm-sampler.js';

/** How a program follows and stops an online run, and what it gives to it. */
export interface OnlineTrainHooks {
  /** Told of everything that happens, in order. */
  onEvent?: (event: OnlineTrainEvent) => void;
  /** When aborted, the run leaves its step undone, saves a checkpoint and returns with outcome `interrupted`. */
  signal?: AbortSignal;
  /** How to reach the Hugging Face Hub. Default: the public endpoint without a token. */
  hub?: HubOptions;
  /** Rewards from elsewhere than `rewardModel`; it stays the caller's. */
  scorer?: RewardScorer;
  /** Reads the variable that `vllmApiKeyVariable` names. Default: there is no key. */
  secret?: (variable: string) => string | undefined;
}

type Run = Omit<TrainingRun<ResolvedOnlineTrainOptions>, 'onEvent'> & {
  onEvent: (event: OnlineTrainEvent) => void;
};

/**
 * Trains a model, or a LoRA adapter for it, by online persona-DPO (sections 2.4 and 3.2 of the RLHI paper): in each step
 * the policy as it is answers prompts with personas, a reward model scores the answers, and the best and the worst of
 * each prompt become a pair (Equation 2) for one update by Equation 1.
 *
 * @throws ConfigError, DataError, CheckpointError before anything is trained; what a server or a reward model throws,
 * and PersonaDpoError (`SCORES`) for rewards that are none, with the last step saved; TrainingError when the loss is no
 * number any more
 */
export async function trainOnline(
  input: OnlineTrainOptions,
  hooks: OnlineTrainHooks = {},
): Promise<OnlineTrainSummary> {
  const started = performance.now();
  const resolved = resolveOnlineTrainOptions(input);
  const apiKey = apiKeyOf(resolved, hooks);
  const { scorer: given, onEvent = () => {} } = hooks;
  const opened = await openTrainingRun<ResolvedOnlineTrainOptions>(resolved, hooks, {
    checkInputs: (options) => checkInputs(options, given !== undefined),
    trajectory: onlineTrajectoryOptions,
    toYaml: (options) => onlineOptionSet.toYaml(options),
  });
  const run: Run = { ...opened, onEvent };
  const { options } = run;
  const idle = idleLoraOptions(options);
  if (idle.length > 0) {
    const message = `${idle.join(', ')} without use_peft: all weights are trained, not an adapter`;
    onEvent({ type: 'notice', message });
  }
  onEvent({ type: 'stage', message: `loading ${options.model}` });
  const onStage = (message: string) => onEvent({ type: 'stage', message });
  const policy = await loadPolicy(opened);
  try {
    const tokenizer = tokenizerOf(policy);
    const prompts = await loadOnlinePrompts(options, tokenizer, limitsOf(policy, options), onEvent);
    const result = await withScorer({ options, given, onStage }, (scorer) =>
      trainOnPrompts({ run, policy, tokenizer, prompts, scorer, apiKey }),
    );
    const summary: OnlineTrainSummary = {
      ...result,
      outputDir: options.outputDir,
      prompts: { used: prompts.train.length, bad: prompts.bad, dropped: prompts.dropped },
      seconds: (performance.now() - started) / 1000,
    };
    const path = join(options.outputDir, outputFiles.summary);
    await writeFileAtomic(path, `${JSON.stringify(summary, null, 2)}\n`);
    return summary;
  } finally {
    policy.dispose();
  }
}

function checkInputs(options: ResolvedOnlineTrainOptions, scorerGiven: boolean): void {
  for (const file of options.prompts) checkFile('prompts', file);
  for (const file of options.evalPrompts ?? []) checkFile('eval_prompts', file);
  if (options.chatTemplatePath !== null) checkFile('chat_template_path', options.chatTemplatePath);
  if (options.personaTemplate !== null) loadPersonaTemplate(options.personaTemplate);
  for (const folder of [options.adapter, options.referenceAdapter]) {
    if (folder !== null) openAdapter(folder).weights.close();
  }
  if (scorerGiven) return;
  if (options.rewardModel === null) {
    throw new ConfigError('reward_model is required: the folder of a reward model in ONNX');
  }
  const found = statSync(options.rewardModel, { throwIfNoEntry: false });
  if (found?.isDirectory() !== true) {
    throw new ConfigError(`reward_model: there is no folder ${options.rewardModel}`);
  }
}

function apiKeyOf(
  { vllmApiKeyVariable: variable }: ResolvedOnlineTrainOptions,
  { secret }: OnlineTrainHooks,
): string | undefined {
  if (variable === null) return undefined;
  const key = secret?.(variable);
  if (key === undefined || key === '') throw new ConfigError(`vllm_api_key_variable: ${variable} is not set`);
  return key;
}

/** @throws ConfigError where a conversation cannot be put into the model's words */
function tokenizerOf({ tokenizer, origin }: LoadedModel): Tokenizer {
  if (tokenizer === null) {
    throw new ConfigError(`${origin.id} has no tokenizer: without words there is nothing to score`);
  }
  requireTemplate(tokenizer);
  return tokenizer;
}

function limitsOf({ model }: LoadedModel, { vllmServerBaseUrl }: ResolvedOnlineTrainOptions) {
  return { positions: model.config.maxPositionEmbeddings, mayCut: vllmServerBaseUrl === null };
}

interface Inputs {
  run: Run;
  policy: LoadedModel;
  tokenizer: Tokenizer;
  prompts: OnlinePrompts;
  scorer: RewardScorer;
  apiKey: string | undefined;
}

type Result = Omit<OnlineTrainSummary, 'outputDir' | 'prompts' | 'seconds'>;

async function trainOnPrompts(inputs: Inputs): Promise<Result> {
  const { run, policy, prompts, scorer } = inputs;
  const { options, onEvent, signal, resumeFrom } = run;
  const base = startState(run, prompts.fingerprint, onlineTrajectoryOptions(options));
  const state = onlineState(base, scorer.identity, resumeFrom);
  const batches = new TrainingBatches(prompts.train, { ...options, gradientAccumulationSteps: 1 });
  const trained = (policy.model.adapter ?? policy.model).entries().map(([, tensor]) => tensor);
  checkDiskSpace(options.outputDir, diskBytes(trained, options, batches.maxSteps));
  const plan = planMemory(policy.model, {
    memoryBudget: options.memoryBudget,
    tokenBudget: options.tokenBudget,
    gradientCheckpointing: options.gradientCheckpointing,
    moments: momentsOf(options.optim),
    longestPair: longestPair(prompts.train, options),
    // A batch may take several passes, whose gradients are summed.
    accumulates: true,
  });
  const reference = await openOnlineReference(policy, options, {
    tokenBudget: plan.tokenBudget,
    hub: run.hub,
  });
  const log = await openRunLog(options.outputDir, options.reportTo, run.saved?.step ?? null);
  const rollouts = options.logRollouts
    ? openRolloutLog(options.outputDir, state.online.rolloutBytes)
    : noRolloutLog();
  const sampler = samplerOf(inputs);
  const trainer = new OnlineTrainer({
    ...{ model: policy.model, plan, reference, options, batches, sampler, state, resumeFrom, log, rollouts },
    rewards: {
      ...{ scorer, userBased: options.userBasedRewards, missingEosPenalty: options.missingEosPenalty },
    },
    evaluation: prompts.evaluation,
    evaluationFingerprint: evaluationFingerprint(prompts.evaluation, options),
    saveWeights: (folder) => savePolicy(policy, folder),
    ...{ onEvent, signal },
  });
  try {
    onEvent({ type: 'stage', message: describeRun(inputs, batches.maxSteps) });
    const outcome = await trainer.run();
    const weights = outcome === 'interrupted' ? null : await writePolicy(policy, options.outputDir);
    return { ...resultOf(trainer, batches, outcome), weights };
  } finally {
    trainer.dispose();
    log.close();
    rollouts.close();
    reference.dispose();
    await sampler.close();
  }
}

function samplerOf({ run, policy, tokenizer, apiKey }: Inputs): Sampler {
  const { options, onEvent, signal } = run;
  const { vllmServerBaseUrl: baseUrl } = options;
  if (baseUrl === null) return localSampler(policy.model, tokenizer, options);
  return new VllmSampler({ options, baseUrl, policy, tokenizer, apiKey, onEvent, signal });
}

/** Tokens of the longest pair that can come. */
function longestPair(prompts: readonly OnlinePrompt[], { maxNewTokens }: ResolvedOnlineTrainOptions): number {
  return prompts.reduce((most, { promptIds }) => Math.max(most, promptIds.length), 0) + 2 * maxNewTokens;
}

/** Rewards can be compared between evaluations of the same prompts, answered as often. */
function evaluationFingerprint(
  prompts: readonly OnlinePrompt[],
  { numGenerationsEval, seed }: ResolvedOnlineTrainOptions,
): string {
  const content = prompts.map(({ id, promptIds }) => [id, promptIds]);
  return createHash('sha256')
    .update(JSON.stringify([numGenerationsEval, seed, content]))
    .digest('hex');
}

function resultOf(
  { state, checkpoint }: OnlineTrainer,
  batches: TrainingBatches<OnlinePrompt>,
  outcome: TrainOutcome,
): Omit<Result, 'weights'> {
  const { groups, guards } = state.online;
  return {
    ...{ outcome, step: state.step, maxSteps: batches.maxSteps, checkpoint },
    epoch: state.step / batches.stepsPerEpoch,
    metrics: state.lastMetrics,
    evaluation: state.evaluation,
    groups: { total: groups.total, withoutPair: { ...groups.withoutPair } },
    warnings: guards.passed,
  };
}

function describeRun({ run, prompts }: Inputs, maxSteps: number): string {
  const { options, saved } = run;
  const from = saved === null ? '' : `, going on after step ${saved.step}`;
  const control = options.shuffleRewards ? ', by shuffled rewards' : '';
  return `training on ${prompts.train.length} prompts for ${maxSteps} steps${control}${from}`;
}
