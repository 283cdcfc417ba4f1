/** A whole training run: from files of pairs to a trained adapter or model in the output folder. */

import { cpSync, existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../data/atomic-write.js';
import { idsOnlyTokenizer } from '../data/ids-only-tokenizer.js';
import { pairTokens } from '../data/pack.js';
import { ConfigError } from '../errors.js';
import { saveAdapter } from '../models/adapter-files.js';
import { createLoraAdapter } from '../models/create-adapter.js';
import type { HubOptions } from '../models/hub-options.js';
import { type LoadedModel, loadModel } from '../models/load-model.js';
import { saveModel } from '../models/save-model.js';
import { dtypeBytes } from '../runtime/dtypes.js';
import { checkInputs } from './check-inputs.js';
import { newestCheckpoint, readTrainerState, type TrainerState } from './checkpoint.js';
import type { TrainEvent, TrainOutcome, TrainSummary } from './events.js';
import { planMemory } from './memory-plan.js';
import {
  idleLoraOptions,
  optionsToYaml,
  type ResolvedTrainOptions,
  resolveTrainOptions,
  type TrainOptions,
} from './options.js';
import { checkDiskSpace, outputFiles, prepareOutputFolder } from './output-folder.js';
import { preferenceObjective } from './preference-objective.js';
import { openRunLog } from './run-log.js';
import { openRunReference } from './run-reference.js';
import { stepInterval } from './schedule.js';
import { Trainer } from './trainer.js';
import { TrainingBatches } from './training-batches.js';
import { loadTrainingData, type TrainingData } from './training-data.js';
import { checkTrajectory, trajectoryOptions } from './trajectory-options.js';

/** How a program follows and stops a run. */
export interface TrainHooks {
  /** Told of everything that happens, in order. */
  onEvent?: (event: TrainEvent) => void;
  /** When aborted, the run finishes its step, saves a checkpoint and returns with outcome `interrupted`. */
  signal?: AbortSignal;
  /** How to reach the Hugging Face Hub. Default: the public endpoint without a token. */
  hub?: HubOptions;
}

/** What a run knows before its model is loaded. */
interface Run {
  options: ResolvedTrainOptions;
  resumeFrom: string | null;
  saved: TrainerState | null;
  startedAt: string;
  onEvent: (event: TrainEvent) => void;
  signal: AbortSignal;
  hub: HubOptions;
}

/**
 * Trains a model, or a LoRA adapter for it, on preference pairs by persona-conditioned DPO (Equation 1 of the RLHI
 * paper and TRL's relatives of it), and writes everything into `outputDir`.
 *
 * @throws ConfigError, DataError, CheckpointError before anything is trained; TrainingError when the loss is no
 * number any more, with the last checkpoint kept.
 */
export async function train(input: TrainOptions, hooks: TrainHooks = {}): Promise<TrainSummary> {
  const started = performance.now();
  const run = await openRun(resolveTrainOptions(input), hooks);
  const { options, onEvent } = run;
  if (options.resumeFromCheckpoint === true && run.resumeFrom === null) {
    onEvent({
      type: 'notice',
      message: `there is no checkpoint in ${options.outputDir}; the run begins anew`,
    });
  }
  const idle = idleLoraOptions(options);
  if (idle.length > 0) {
    const message = `${idle.join(', ')} without use_peft: all weights are trained, not an adapter`;
    onEvent({ type: 'notice', message });
  }
  onEvent({ type: 'stage', message: `loading ${options.model}` });
  const loaded = await loadPolicy(run);
  try {
    const data = await loadTrainingData(options, tokenizerOf(loaded), onEvent);
    const result = await trainLoaded(run, loaded, data);
    const summary: TrainSummary = {
      ...result,
      outputDir: options.outputDir,
      pairs: { used: data.train.length, bad: data.bad, dropped: data.dropped },
      seconds: (performance.now() - started) / 1000,
    };
    const path = join(options.outputDir, outputFiles.summary);
    await writeFileAtomic(path, `${JSON.stringify(summary, null, 2)}\n`);
    return summary;
  } finally {
    loaded.dispose();
  }
}

/** Checks the output folder, finds the checkpoint to go on from, and writes down the options. */
async function openRun(options: ResolvedTrainOptions, hooks: TrainHooks): Promise<Run> {
  const resuming = options.resumeFromCheckpoint !== false;
  checkInputs(options);
  prepareOutputFolder(options.outputDir, resuming);
  const resumeFrom = checkpointToResume(options);
  const saved = resumeFrom === null ? null : readTrainerState(resumeFrom);
  if (saved !== null) checkTrajectory(saved.trajectory, options);
  await writeFileAtomic(join(options.outputDir, outputFiles.config), optionsToYaml(options));
  return {
    options,
    resumeFrom,
    saved,
    startedAt: saved?.startedAt ?? new Date().toISOString(),
    onEvent: hooks.onEvent ?? (() => {}),
    signal: hooks.signal ?? new AbortController().signal,
    hub: { ...hooks.hub, ...(hooks.signal !== undefined && { signal: hooks.signal }) },
  };
}

function checkpointToResume({ resumeFromCheckpoint, outputDir }: ResolvedTrainOptions): string | null {
  if (resumeFromCheckpoint === false) return null;
  if (resumeFromCheckpoint !== true) return resumeFromCheckpoint;
  // A run that was stopped before its first checkpoint begins anew.
  return newestCheckpoint(outputDir);
}

/** The policy with the adapter that is to be trained, if there is to be one. */
async function loadPolicy({ options, startedAt, hub }: Run): Promise<LoadedModel> {
  const loaded = await loadModel(options.model, {
    dtype: options.dtype,
    // Weights that are trained are kept in float32 and rounded when they are used.
    ...(!options.usePeft && { weightDtype: 'float32' as const }),
    device: options.device,
    xla: options.xla,
    hub,
    tokenizer: {
      now: new Date(startedAt),
      ...(options.chatTemplatePath !== null && { chatTemplateFile: options.chatTemplatePath }),
    },
    ...(options.threads !== null && { threads: options.threads }),
    ...(options.adapter !== null && { adapter: options.adapter }),
  });
  if (options.usePeft && options.adapter === null) {
    const { loraTargetModules } = options;
    const adapter = createLoraAdapter(loaded.model, {
      rank: options.loraR,
      alpha: options.loraAlpha,
      dropout: options.loraDropout,
      useRslora: options.useRslora,
      seed: options.seed,
      ...(loraTargetModules !== null && { targetModules: loraTargetModules }),
    });
    loaded.model.attach(adapter);
  }
  return loaded;
}

function tokenizerOf({ tokenizer, model, origin }: LoadedModel) {
  return tokenizer ?? idsOnlyTokenizer(origin.id, model.config.vocabSize, model.config.bosTokenId);
}

type Result = Omit<TrainSummary, 'outputDir' | 'pairs' | 'seconds'>;

async function trainLoaded(run: Run, loaded: LoadedModel, data: TrainingData): Promise<Result> {
  const { options, onEvent, signal } = run;
  const { model } = loaded;
  const state = startState(run, data);
  const batches = new TrainingBatches(data.train, options);
  checkDiskSpace(options.outputDir, diskBytes(loaded, options, batches.maxSteps));
  const plan = planMemory(model, {
    memoryBudget: options.memoryBudget,
    tokenBudget: options.tokenBudget,
    gradientCheckpointing: options.gradientCheckpointing,
    longestPair: [...data.train, ...data.evaluation].reduce(
      (most, pair) => Math.max(most, pairTokens(pair)),
      0,
    ),
    accumulates: options.gradientAccumulationSteps > 1,
  });
  const reference = await referenceOf(run, loaded, data, plan.tokenBudget);
  if (reference === null) return { ...unstarted(run, state, batches), weights: null };
  const log = await openRunLog(options.outputDir, options.reportTo, run.saved?.step ?? null);
  const trainer = new Trainer({
    objective: preferenceObjective({ model, options, reference: reference.lookup, plan }),
    options,
    batches,
    evaluation: data.evaluation,
    state,
    resumeFrom: run.resumeFrom,
    log,
    saveWeights: (folder) => saveWeights(loaded, folder),
    onEvent,
    signal,
  });
  try {
    onEvent({ type: 'stage', message: describeRun(data, batches, run) });
    const outcome = await trainer.run();
    const weights = outcome === 'interrupted' ? null : await writeResult(loaded, options, trainer);
    return { ...resultOf(trainer, batches, outcome), weights };
  } finally {
    trainer.dispose();
    log.close();
    await reference.close();
  }
}

/** The reference's log-probabilities, or null when the run was interrupted while they were computed. */
async function referenceOf(run: Run, loaded: LoadedModel, data: TrainingData, tokenBudget: number) {
  try {
    return await openRunReference(run, loaded, [...data.train, ...data.evaluation], tokenBudget);
  } catch (error) {
    if (run.signal.aborted) return null;
    throw error;
  }
}

function unstarted(run: Run, state: TrainerState, batches: TrainingBatches): Omit<Result, 'weights'> {
  return {
    outcome: 'interrupted',
    step: state.step,
    maxSteps: batches.maxSteps,
    epoch: state.step / batches.stepsPerEpoch,
    checkpoint: run.resumeFrom,
    metrics: state.lastMetrics,
    evaluation: state.evaluation,
    bestCheckpoint: null,
  };
}

function startState(run: Run, data: TrainingData): TrainerState {
  const { saved, options, startedAt } = run;
  if (saved === null) {
    return {
      version: 1,
      step: 0,
      startedAt,
      numTokens: 0,
      pending: [],
      lastMetrics: {},
      evaluation: null,
      best: null,
      evaluationsWithoutBest: 0,
      dataFingerprint: data.fingerprint,
      trajectory: trajectoryOptions(options),
    };
  }
  if (saved.dataFingerprint !== data.fingerprint) {
    throw new ConfigError(
      `${run.resumeFrom} is of a run on other pairs, or their tokens have changed (template, persona, max_length)`,
    );
  }
  return saved;
}

async function saveWeights(loaded: LoadedModel, folder: string): Promise<void> {
  const { model, origin } = loaded;
  if (model.adapter !== null) {
    saveAdapter(model.adapter, folder, { baseModel: origin.id, revision: origin.revision });
  } else await saveModel(loaded, folder);
}

/** Writes `adapter/` or `model/`: the last weights, or the best checkpoint's. */
async function writeResult(loaded: LoadedModel, options: ResolvedTrainOptions, trainer: Trainer) {
  const kind = loaded.model.adapter === null ? ('model' as const) : ('adapter' as const);
  const path = join(options.outputDir, outputFiles[kind]);
  const pending = join(options.outputDir, `.${kind}.${process.pid}.tmp`);
  rmSync(pending, { recursive: true, force: true });
  const best = options.loadBestModelAtEnd ? trainer.bestCheckpoint : null;
  if (best !== null && existsSync(best)) copyWeights(best, pending);
  else await saveWeights(loaded, pending);
  rmSync(path, { recursive: true, force: true });
  renameSync(pending, path);
  return { kind, path };
}

/** Copies a checkpoint's weights without what only training needs. */
function copyWeights(checkpoint: string, target: string): void {
  cpSync(checkpoint, target, {
    recursive: true,
    filter: (file) => !/(?:optimizer\.safetensors|trainer_state\.json)$/.test(file),
  });
}

function resultOf(
  trainer: Trainer,
  batches: TrainingBatches,
  outcome: TrainOutcome,
): Omit<Result, 'weights'> {
  const { state, checkpoint, bestCheckpoint } = trainer;
  return {
    outcome,
    step: state.step,
    maxSteps: batches.maxSteps,
    epoch: state.step / batches.stepsPerEpoch,
    checkpoint,
    metrics: state.lastMetrics,
    evaluation: state.evaluation,
    bestCheckpoint:
      bestCheckpoint !== null && state.best !== null && existsSync(bestCheckpoint)
        ? { path: bestCheckpoint, ...state.best }
        : null,
  };
}

/** About what the run will write: checkpoints (weights, masters, moments) and the result. */
function diskBytes({ model }: LoadedModel, options: ResolvedTrainOptions, maxSteps: number): number {
  const trained = model.adapter ?? model;
  const bytes = trained.entries().map(([, tensor]) => ({
    weights: tensor.byteLength,
    state: (tensor.byteLength / dtypeBytes(tensor.dtype)) * 3 * 4,
  }));
  const weights = bytes.reduce((sum, entry) => sum + entry.weights, 0);
  const state = bytes.reduce((sum, entry) => sum + entry.state, 0);
  const saves =
    options.saveStrategy === 'no' ? 0 : Math.ceil(maxSteps / stepInterval(options.saveSteps, maxSteps));
  // One more than are kept: the newest is whole before the oldest goes.
  const kept = Math.min(saves, (options.saveTotalLimit ?? saves) + 1);
  return kept * (weights + state) + weights;
}

function describeRun(data: TrainingData, { maxSteps }: TrainingBatches, { saved }: Run): string {
  const from = saved === null ? '' : `, going on after step ${saved.step}`;
  return `training on ${data.train.length} pairs for ${maxSteps} steps${from}`;
}
