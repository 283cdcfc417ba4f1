/** A whole run that trains a reward model: from files of pairs to a model that scores, in the output folder. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../../data/atomic-write.js';
import { idsOnlyTokenizer } from '../../data/ids-only-tokenizer.js';
import { pairTokens } from '../../data/pack.js';
import { installHome } from '../../runtime/install/location.js';
import { checkInputs } from '../check-inputs.js';
import { planMemory } from '../memory-plan.js';
import type { Objective } from '../objective.js';
import { momentsOf } from '../optimizer-names.js';
import { checkDiskSpace, makeWritableFolder, outputFiles } from '../output-folder.js';
import { openRunLog } from '../run-log.js';
import { diskBytes, type LoopResult, resultOf, unstarted } from '../run-results.js';
import { Trainer } from '../trainer.js';
import { TrainingBatches } from '../training-batches.js';
import { loadTrainingData, type TrainingData } from '../training-data.js';
import { openTrainingRun, startState, type TrainingRun } from '../training-run.js';
import type { TrainRewardEvent, TrainRewardHooks, TrainRewardSummary } from './events.js';
import { openFeatures } from './features.js';
import { loadBackbone, type RewardNetwork } from './load-backbone.js';
import { headObjective, modelObjective } from './reward-objective.js';
import {
  idleRewardOptions,
  type ResolvedTrainRewardOptions,
  resolveTrainRewardOptions,
  rewardOptionSet,
  rewardTrajectory,
  type TrainRewardOptions,
} from './reward-options.js';
import type { RewardPass } from './reward-pass.js';
import { saveClassifier, saveHead, saveRewardAdapter } from './save-reward-model.js';
import { writeOnnx, writeWeights } from './write-results.js';

type Run = TrainingRun<ResolvedTrainRewardOptions> & { onEvent: (event: TrainRewardEvent) => void };

/**
 * Trains a reward model `r(x, p, y)` on preference pairs by the Bradley-Terry loss (section 2.4 of the RLHI paper;
 * loss, metrics and names are those of TRL's RewardTrainer), and writes everything into `outputDir`: the model for
 * transformers, and for ONNX Runtime, where conversations and personas are put into tokens exactly as in training.
 *
 * @throws ConfigError, DataError, CheckpointError before anything is trained; TrainingError when the loss is no
 * number any more, with the last checkpoint kept
 */
export async function trainReward(
  input: TrainRewardOptions,
  hooks: TrainRewardHooks = {},
): Promise<TrainRewardSummary> {
  const started = performance.now();
  const run = await openRun(resolveTrainRewardOptions(input), hooks);
  const { options, onEvent } = run;
  const idle = idleRewardOptions(options);
  if (idle.length > 0) {
    onEvent({ type: 'notice', message: `${idle.join(', ')} changes nothing in mode ${options.mode}` });
  }
  const { maxTokens, hasTokenizer, ...result } = await trainModel(run);
  const summary: TrainRewardSummary = {
    ...result,
    onnx: await exported(run, result.model, { maxTokens, hasTokenizer }),
    outputDir: options.outputDir,
    seconds: (performance.now() - started) / 1000,
  };
  const path = join(options.outputDir, outputFiles.summary);
  await writeFileAtomic(path, `${JSON.stringify(summary, null, 2)}\n`);
  return summary;
}

async function openRun(options: ResolvedTrainRewardOptions, hooks: TrainRewardHooks): Promise<Run> {
  const onEvent = hooks.onEvent ?? (() => {});
  const run = await openTrainingRun<ResolvedTrainRewardOptions>(options, hooks, {
    checkInputs: (checked) => {
      checkInputs({ ...checked, adapter: null, referenceAdapter: null, referenceCache: null });
      if (checked.featureCache !== null) makeWritableFolder('feature_cache', checked.featureCache);
    },
    trajectory: rewardTrajectory,
    toYaml: (resolved) => rewardOptionSet.toYaml(resolved),
  });
  return { ...run, onEvent };
}

interface TrainedModel extends Omit<TrainRewardSummary, 'onnx' | 'outputDir' | 'seconds'> {
  /** Most tokens of a conversation with an answer. */
  maxTokens: number;
  hasTokenizer: boolean;
}

/** Loads, trains and saves; the model is out of memory afterwards. */
async function trainModel(run: Run): Promise<TrainedModel> {
  const { options, onEvent } = run;
  onEvent({ type: 'stage', message: `loading ${options.model}` });
  const network = await loadBackbone(run);
  try {
    const { model, tokenizer, origin } = network.loaded;
    const { vocabSize, bosTokenId, maxPositionEmbeddings } = model.config;
    const maxTokens = Math.min(options.maxLength ?? maxPositionEmbeddings, maxPositionEmbeddings);
    if (options.maxLength !== null && maxTokens < options.maxLength) {
      onEvent({ type: 'notice', message: `max_length is ${maxTokens}, for which the model was made` });
    }
    const data = await loadTrainingData(
      { ...options, maxLength: maxTokens, maxPromptLength: null, truncationMode: 'keep_end' },
      tokenizer ?? idsOnlyTokenizer(origin.id, vocabSize, bosTokenId),
      onEvent,
    );
    noticeMargins(data, onEvent);
    const result = await trainNetwork(run, network, data);
    const pairs = { used: data.train.length, bad: data.bad, dropped: data.dropped };
    return { ...result, pairs, maxTokens, hasTokenizer: tokenizer !== null };
  } finally {
    network.dispose();
  }
}

function noticeMargins({ train }: TrainingData, onEvent: Run['onEvent']): void {
  const having = train.filter(({ margin }) => margin !== undefined).length;
  if (having === 0 || having === train.length) return;
  onEvent({
    type: 'notice',
    message: `${train.length - having} of ${train.length} pairs have no margin; theirs is 0`,
  });
}

type NetworkResult = LoopResult & Pick<TrainRewardSummary, 'model' | 'adapter' | 'heldOut'>;

async function trainNetwork(run: Run, network: RewardNetwork, data: TrainingData): Promise<NetworkResult> {
  const { options, onEvent, signal } = run;
  const state = startState(run, data.fingerprint, rewardTrajectory(options));
  const batches = new TrainingBatches(data.train, options);
  checkRoom(network, options, batches.maxSteps);
  const objective = await objectiveOf(run, network, data);
  if (objective === null) {
    return { ...unstarted(run, state, batches), model: null, adapter: null, heldOut: null };
  }
  const log = await openRunLog(options.outputDir, options.reportTo, run.saved?.step ?? null);
  const trainer = new Trainer({
    objective,
    options,
    batches,
    evaluation: data.evaluation,
    state,
    resumeFrom: run.resumeFrom,
    log,
    saveWeights: async (folder) => saveTrained(network, options, folder),
    onEvent,
    signal,
  });
  try {
    const from = run.saved === null ? '' : `, going on after step ${run.saved.step}`;
    const message = `training on ${data.train.length} pairs for ${batches.maxSteps} steps${from}`;
    onEvent({ type: 'stage', message });
    const outcome = await trainer.run();
    const result = resultOf(trainer, batches, outcome);
    if (outcome === 'interrupted') return { ...result, model: null, adapter: null, heldOut: null };
    const best = options.loadBestModelAtEnd ? result.bestCheckpoint : null;
    if (best !== null && existsSync(best.path)) trainer.takeWeightsOf(best.path, best.step);
    const heldOut = await rankedRight(objective, data, options.perDeviceEvalBatchSize);
    onEvent({ type: 'stage', message: 'saving the reward model' });
    return { ...result, ...writeWeights(network, options), heldOut };
  } finally {
    trainer.dispose();
    log.close();
  }
}

/** What is trained as an objective; null when the run was interrupted while features were computed. */
async function objectiveOf(
  run: Run,
  { loaded, head }: RewardNetwork,
  data: TrainingData,
): Promise<Objective<RewardPass> | null> {
  const { options, onEvent, signal } = run;
  const { model } = loaded;
  const pairs = [...data.train, ...data.evaluation];
  if (options.mode !== 'head') {
    const plan = planMemory(model, {
      memoryBudget: options.memoryBudget,
      tokenBudget: options.tokenBudget,
      gradientCheckpointing: options.gradientCheckpointing,
      moments: momentsOf(options.optim),
      longestPair: pairs.reduce((most, pair) => Math.max(most, pairTokens(pair)), 0),
      accumulates: options.gradientAccumulationSteps > 1,
    });
    return modelObjective({ model, head, loss: options, plan });
  }
  onEvent({ type: 'stage', message: 'computing what the model makes of each response' });
  const cacheDir = options.featureCache ?? join(installHome(), 'reward-features');
  try {
    const features = await openFeatures(model, pairs, {
      cacheDir,
      fingerprint: await loaded.fingerprint({ cacheDir }),
      ...(options.tokenBudget !== null && { tokenBudget: options.tokenBudget }),
      onProgress: (progress) => onEvent({ type: 'features', ...progress }),
      signal,
    });
    return headObjective(head, features, options);
  } catch (error) {
    if (signal.aborted) return null;
    throw error;
  }
}

function checkRoom({ loaded, head }: RewardNetwork, options: ResolvedTrainRewardOptions, maxSteps: number) {
  const { model } = loaded;
  const weights = model.entries().map(([, weight]) => weight);
  const adapter = model.adapter?.entries().map(([, factor]) => factor) ?? [];
  const trained = { head: [], lora: adapter, full: weights }[options.mode];
  const saved = weights.reduce((sum, { byteLength }) => sum + byteLength, 0);
  // At most twice as wide as in memory, and as much again in ONNX.
  const results = saved * (options.onnxDtype === 'none' ? 2 : 4);
  checkDiskSpace(options.outputDir, diskBytes([...trained, head.weight], options, maxSteps) + results);
}

/** A checkpoint's weights, beside what the optimizer needs to go on. */
function saveTrained(network: RewardNetwork, options: ResolvedTrainRewardOptions, folder: string): void {
  if (options.mode === 'head') saveHead(network.head, folder);
  else if (options.mode === 'lora') saveRewardAdapter(network, folder);
  else saveClassifier(network, folder, options);
}

/** How many held-out pairs are ranked right by the weights as they are now. */
async function rankedRight(
  objective: Objective<RewardPass>,
  { evaluation }: TrainingData,
  batchSize: number,
): Promise<TrainRewardSummary['heldOut']> {
  if (evaluation.length === 0) return null;
  let correct = 0;
  for (let begin = 0; begin < evaluation.length; begin += batchSize) {
    const { pairs } = await objective.evaluate(evaluation.slice(begin, begin + batchSize));
    correct += pairs.filter(({ chosen, rejected }) => chosen > rejected).length;
  }
  return { pairs: evaluation.length, correct };
}

async function exported(
  { options, onEvent }: Run,
  model: string | null,
  { maxTokens, hasTokenizer }: Pick<TrainedModel, 'maxTokens' | 'hasTokenizer'>,
): Promise<string | null> {
  if (model === null || options.onnxDtype === 'none') return null;
  if (!hasTokenizer) {
    const message = `${options.model} has no tokenizer, so that it can score no conversation: no ONNX model is written`;
    onEvent({ type: 'notice', message });
    return null;
  }
  onEvent({ type: 'stage', message: 'writing the ONNX model' });
  return writeOnnx(model, options, maxTokens);
}
