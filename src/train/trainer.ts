/** The training loop: steps, logging, evaluation, checkpoints, early stopping. It reads top to bottom. */

import type { TokenizedPair } from '../data/tokenize.js';
import { TrainingError } from '../errors.js';
import { AdamW } from './adamw.js';
import { pruneCheckpoints, restoreOptimizer, type TrainerState, writeCheckpoint } from './checkpoint.js';
import type { Metrics, TrainEvent, TrainOutcome } from './events.js';
import { GradientStore } from './gradient-store.js';
import type { MetricsLog } from './metrics-log.js';
import type { Objective, PassOutcome } from './objective.js';
import { adamWOptions } from './optimizer-names.js';
import type { ResolvedTrainOptions } from './options.js';
import { checkpointFolder } from './output-folder.js';
import { learningRateAt, stepInterval } from './schedule.js';
import { meanMetrics } from './step-metrics.js';
import { StepPace } from './step-pace.js';
import type { TrainingBatches } from './training-batches.js';
import { passSeed, tokensAsCounted, updateWeights } from './update.js';

/** What the loop reads of a run's options; every kind of run has them. */
export type TrainerOptions = Pick<
  ResolvedTrainOptions,
  | 'outputDir'
  | 'seed'
  | 'learningRate'
  | 'lrSchedulerType'
  | 'warmupSteps'
  | 'optim'
  | 'weightDecay'
  | 'adamBeta1'
  | 'adamBeta2'
  | 'adamEpsilon'
  | 'maxGradNorm'
  | 'perDeviceEvalBatchSize'
  | 'evalStrategy'
  | 'evalSteps'
  | 'evalOnStart'
  | 'loadBestModelAtEnd'
  | 'metricForBestModel'
  | 'greaterIsBetter'
  | 'earlyStoppingPatience'
  | 'earlyStoppingThreshold'
  | 'loggingSteps'
  | 'saveStrategy'
  | 'saveSteps'
  | 'saveTotalLimit'
>;

export interface TrainerInputs<Pass extends PassOutcome> {
  objective: Objective<Pass>;
  options: TrainerOptions;
  batches: TrainingBatches;
  evaluation: readonly TokenizedPair[];
  state: TrainerState;
  /** The checkpoint that `state` comes from; null for a new run. */
  resumeFrom: string | null;
  log: MetricsLog;
  /** Writes what is trained, as it is now, into a folder. */
  saveWeights: (folder: string) => Promise<void>;
  onEvent: (event: TrainEvent) => void;
  signal: AbortSignal;
}

/** One run of the loop over a model in memory. */
export class Trainer<Pass extends PassOutcome = PassOutcome> {
  readonly #in: TrainerInputs<Pass>;
  readonly #optimizer: AdamW;
  readonly #maxSteps: number;
  readonly #pace = new StepPace();
  readonly state: TrainerState;
  /** The newest checkpoint. */
  checkpoint: string | null;
  #savedStep: number;
  #evaluatedStep = -1;

  constructor(inputs: TrainerInputs<Pass>) {
    const { objective, options, state, resumeFrom } = inputs;
    this.#in = inputs;
    this.state = state;
    this.checkpoint = resumeFrom;
    this.#savedStep = resumeFrom === null ? -1 : state.step;
    this.#maxSteps = inputs.batches.maxSteps;
    this.#optimizer = new AdamW(objective.parameters, adamWOptions(options));
    if (resumeFrom !== null) restoreOptimizer(resumeFrom, this.#optimizer, state.step);
  }

  async run(): Promise<TrainOutcome> {
    const { options, signal } = this.#in;
    if (options.evalOnStart && this.state.step === 0) await this.#evaluate();
    while (this.state.step < this.#maxSteps) {
      if (signal.aborted) return this.#interrupted();
      await this.#step();
      if (this.#isDue('logging')) this.#logRow();
      if (this.#isDue('evaluation')) await this.#evaluate();
      if (this.#isDue('saving')) await this.#save();
      if (this.#isOutOfPatience()) return this.#finished('stopped-early');
    }
    return this.#finished('finished');
  }

  /** Puts the weights of the checkpoint of `step` into the model, in place of the last ones. */
  takeWeightsOf(checkpoint: string, step: number): void {
    restoreOptimizer(checkpoint, this.#optimizer, step);
  }

  dispose(): void {
    this.#optimizer.dispose();
  }

  async #step(): Promise<void> {
    const { objective, options, batches, onEvent } = this.#in;
    const { state } = this;
    const started = performance.now();
    const microBatches = batches.at(state.step);
    const gradients = new GradientStore();
    try {
      const passes: Pass[] = [];
      for (const [index, pairs] of microBatches.entries()) {
        passes.push(await this.#trainOn(pairs, gradients, microBatches.length, index));
      }
      const metrics = meanMetrics(passes.map((pass) => objective.metrics(pass)));
      const learningRate = this.#learningRate(state.step);
      const gradNorm = updateWeights({
        ...{ optimizer: this.#optimizer, gradients, loss: metrics.loss as number, learningRate },
        ...{ maxGradNorm: options.maxGradNorm, step: state.step + 1, pairs: microBatches.flat() },
        checkpoint: this.checkpoint,
      });
      state.step++;
      state.numTokens += microBatches.flat().reduce((sum, pair) => sum + tokensAsCounted(pair), 0);
      const row = { ...metrics, grad_norm: gradNorm, learning_rate: learningRate };
      state.pending.push(row);
      state.lastMetrics = row;
      const tokens = passes.reduce((sum, pass) => sum + pass.packedTokens, 0);
      this.#pace.add(tokens, (performance.now() - started) / 1000);
      onEvent({
        type: 'step',
        step: state.step,
        maxSteps: this.#maxSteps,
        epoch: state.step / batches.stepsPerEpoch,
        metrics: row,
        tokens,
        tokensPerSecond: this.#pace.tokensPerSecond,
        secondsLeft: this.#pace.secondsPerStep * (this.#maxSteps - state.step),
      });
    } finally {
      gradients.dispose();
    }
  }

  #trainOn(pairs: readonly TokenizedPair[], gradients: GradientStore, count: number, index: number) {
    const { objective, options } = this.#in;
    const seed = passSeed(options.seed, this.state.step * count + index);
    return objective.train(pairs, {
      weight: 1 / count,
      seed,
      sink: (...gradient) => gradients.add(...gradient),
    });
  }

  #learningRate(step: number): number {
    const { learningRate, lrSchedulerType, warmupSteps } = this.#in.options;
    return learningRateAt(step, { learningRate, lrSchedulerType, warmupSteps, maxSteps: this.#maxSteps });
  }

  #isDue(what: 'logging' | 'evaluation' | 'saving'): boolean {
    const { options, batches, evaluation } = this.#in;
    const { step } = this.state;
    const last = step === this.#maxSteps;
    const every = (steps: number) => step % stepInterval(steps, this.#maxSteps) === 0;
    const epochEnds = step % batches.stepsPerEpoch === 0;
    if (what === 'logging') return last || every(options.loggingSteps);
    if (what === 'saving') {
      if (options.saveStrategy === 'no') return false;
      return last || (options.saveStrategy === 'epoch' ? epochEnds : every(options.saveSteps));
    }
    if (evaluation.length === 0) return false;
    // The state a run ends with is always evaluated.
    if (last) return true;
    if (options.evalStrategy === 'no') return false;
    return options.evalStrategy === 'epoch' ? epochEnds : every(options.evalSteps);
  }

  #logRow(): void {
    const { state } = this;
    const { batches, log } = this.#in;
    if (state.pending.length === 0) return;
    const newest = state.pending.at(-1) as Metrics;
    log.append({
      step: state.step,
      epoch: state.step / batches.stepsPerEpoch,
      ...meanMetrics(state.pending),
      // As in the transformers trainer, these two are the last step's.
      grad_norm: newest.grad_norm as number,
      learning_rate: newest.learning_rate as number,
      num_tokens: state.numTokens,
    });
    state.pending = [];
  }

  async #evaluate(): Promise<void> {
    const { objective, options, evaluation, batches, log, onEvent } = this.#in;
    const { state } = this;
    const passes: Pass[] = [];
    for (let begin = 0; begin < evaluation.length; begin += options.perDeviceEvalBatchSize) {
      const pairs = evaluation.slice(begin, begin + options.perDeviceEvalBatchSize);
      passes.push(await objective.evaluate(pairs));
    }
    const metrics = objective.evaluationMetrics(passes);
    state.evaluation = metrics;
    this.#evaluatedStep = state.step;
    log.append({ step: state.step, epoch: state.step / batches.stepsPerEpoch, ...metrics });
    const best = this.#rank(metrics);
    onEvent({ type: 'evaluation', step: state.step, metrics, best });
    if (best && options.loadBestModelAtEnd && state.step > 0) await this.#save();
  }

  /** Holds the evaluation against the best so far; true where it is better. */
  #rank(metrics: Metrics): boolean {
    const { options } = this.#in;
    const { state } = this;
    const metric = evaluationName(options.metricForBestModel);
    const value = metrics[metric];
    if (value === undefined) {
      throw new TrainingError(
        `metric_for_best_model ${options.metricForBestModel} is not among the evaluation's metrics: ${Object.keys(metrics).join(', ')}`,
      );
    }
    const gain =
      state.best === null
        ? Number.POSITIVE_INFINITY
        : (value - state.best.value) * (options.greaterIsBetter ? 1 : -1);
    state.evaluationsWithoutBest =
      gain > options.earlyStoppingThreshold ? 0 : state.evaluationsWithoutBest + 1;
    if (gain <= 0) return false;
    state.best = { step: state.step, metric, value };
    return true;
  }

  #isOutOfPatience(): boolean {
    const { earlyStoppingPatience } = this.#in.options;
    return earlyStoppingPatience !== null && this.state.evaluationsWithoutBest >= earlyStoppingPatience;
  }

  async #save(): Promise<void> {
    const { options, log, saveWeights, onEvent } = this.#in;
    const { state } = this;
    if (this.#savedStep === state.step) return;
    log.sync();
    this.checkpoint = await writeCheckpoint(options.outputDir, state, this.#optimizer, saveWeights);
    this.#savedStep = state.step;
    pruneCheckpoints(
      options.outputDir,
      options.saveTotalLimit,
      options.loadBestModelAtEnd ? (state.best?.step ?? null) : null,
    );
    onEvent({ type: 'checkpoint', step: state.step, path: this.checkpoint });
  }

  async #interrupted(): Promise<TrainOutcome> {
    if (this.state.step > 0) await this.#save();
    return 'interrupted';
  }

  async #finished(outcome: TrainOutcome): Promise<TrainOutcome> {
    this.#logRow();
    if (this.#in.evaluation.length > 0 && this.#evaluatedStep !== this.state.step) await this.#evaluate();
    if (this.#in.options.saveStrategy !== 'no') await this.#save();
    return outcome;
  }

  /** Folder of the best checkpoint, where the best weights are to be written at the end. */
  get bestCheckpoint(): string | null {
    const { best } = this.state;
    return best === null || best.step === 0 ? null : checkpointFolder(this.#in.options.outputDir, best.step);
  }
}

function evaluationName(metric: string): string {
  return metric.startsWith('eval_') ? metric : `eval_${metric}`;
}
