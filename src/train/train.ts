/** A whole training run: from files of pairs to a trained adapter or model in the output folder. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../data/atomic-write.js';
import { idsOnlyTokenizer } from '../data/ids-only-tokenizer.js';
import { pairTokens } from '../data/pack.js';
import type { LoadedModel } from '../models/load-model.js';
import { checkInputs } from './check-inputs.js';
import type { TrainSummary } from './events.js';
import { planMemory } from './memory-plan.js';
import { momentsOf } from './optimizer-names.js';
import {
  idleLoraOptions,
  optionsToYaml,
  type ResolvedTrainOptions,
  resolveTrainOptions,
  type TrainOptions,
} from './options.js';
import { checkDiskSpace, outputFiles } from './output-folder.js';
import { loadPolicy, savePolicy, writePolicy } from './policy.js';
import { preferenceObjective } from './preference-objective.js';
import { openRunLog } from './run-log.js';
import { openRunReference } from './run-reference.js';
import { diskBytes, resultOf, unstarted } from './run-results.js';
import { Trainer } from './trainer.js';
import { TrainingBatches } from './training-batches.js';
import { loadTrainingData, type TrainingData } from './training-data.js';
import { openTrainingRun, startState, type TrainHooks, type TrainingRun } from './training-run.js';
import { trajectoryOptions } from './trajectory-options.js';

export type { TrainHooks } from './training-run.js';

/**
 * Trains a model, or a LoRA adapter for it, on preference pairs by persona-conditioned DPO (Equation 1 of the RLHI
 * paper and TRL's relatives of it), and writes everything into `outputDir`.
 *
 * @throws ConfigError, DataError, CheckpointError before anything is trained; TrainingError when the loss is no
 * number any more, with the last checkpoint kept.
 */
export async function train(input: TrainOptions, hooks: TrainHooks = {}): Promise<TrainSummary> {
  const started = performance.now();
  const run = await openTrainingRun<ResolvedTrainOptions>(resolveTrainOptions(input), hooks, {
    checkInputs,
    trajectory: trajectoryOptions,
    toYaml: optionsToYaml,
  });
  const { options, onEvent } = run;
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

function tokenizerOf({ tokenizer, model, origin }: LoadedModel) {
  return tokenizer ?? idsOnlyTokenizer(origin.id, model.config.vocabSize, model.config.bosTokenId);
}

type Run = TrainingRun<ResolvedTrainOptions>;
type Result = Omit<TrainSummary, 'outputDir' | 'pairs' | 'seconds'>;

async function trainLoaded(run: Run, loaded: LoadedModel, data: TrainingData): Promise<Result> {
  const { options, onEvent, signal } = run;
  const { model } = loaded;
  const state = startState(run, data.fingerprint, trajectoryOptions(options));
  const batches = new TrainingBatches(data.train, options);
  const trained = (model.adapter ?? model).entries().map(([, tensor]) => tensor);
  checkDiskSpace(options.outputDir, diskBytes(trained, options, batches.maxSteps));
  const plan = planMemory(model, {
    memoryBudget: options.memoryBudget,
    tokenBudget: options.tokenBudget,
    gradientCheckpointing: options.gradientCheckpointing,
    moments: momentsOf(options.optim),
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
    saveWeights: (folder) => savePolicy(loaded, folder),
    onEvent,
    signal,
  });
  try {
    onEvent({ type: 'stage', message: describeRun(data, batches, run) });
    const outcome = await trainer.run();
    const weights =
      outcome === 'interrupted'
        ? null
        : await writePolicy(loaded, options.outputDir, bestWeights(options, trainer));
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

/** The checkpoint whose weights are the result, or null for the last ones. */
function bestWeights({ loadBestModelAtEnd }: ResolvedTrainOptions, trainer: Trainer): string | null {
  const best = loadBestModelAtEnd ? trainer.bestCheckpoint : null;
  return best !== null && existsSync(best) ? best : null;
}

function describeRun(data: TrainingData, { maxSteps }: TrainingBatches, { saved }: Run): string {
  const from = saved === null ? '' : `, going on after step ${saved.step}`;
  return `training on ${data.train.length} pairs for ${maxSteps} steps${from}`;
}
