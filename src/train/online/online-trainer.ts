/** The online loop: steps, logging, evaluation, guards, checkpoints. It reads top to bottom. */

import { mean } from '../../data/statistics.js';
import { TrainingError } from '../../errors.js';
import { AdamW } from '../adamw.js';
import { pruneCheckpoints, restoreOptimizer, writeCheckpoint } from '../checkpoint.js';
import type { Metrics, TrainOutcome } from '../events.js';
import type { MetricsLog } from '../metrics-log.js';
import { adamWOptions } from '../optimizer-names.js';
import { learningRateAt, stepInterval } from '../schedule.js';
import { meanMetrics } from '../step-metrics.js';
import { StepPace } from '../step-pace.js';
import type { TrainingBatches } from '../training-batches.js';
import type { OnlineTrainEvent } from './events.js';
import { newWarnings, watchStep } from './guards.js';
import { measureHeldOut } from './held-out-evaluation.js';
import {
  type Learned,
  type LearningInputs,
  learner,
  type SamplingInputs,
  type StepPairs,
  sampleStep,
} from './online-step.js';
import type { ResolvedOnlineTrainOptions } from './options.js';
import type { OnlinePrompt } from './prompts.js';
import { type RolloutLog, rolloutRow } from './rollout-log.js';
import { rolloutMetrics } from './rollout-metrics.js';
import type { OnlineState } from './state.js';

export interface OnlineTrainerInputs extends SamplingInputs, LearningInputs {
  options: ResolvedOnlineTrainOptions;
  batches: TrainingBatches<OnlinePrompt>;
  evaluation: readonly OnlinePrompt[];
  /** What tells these held-out prompts from others. */
  evaluationFingerprint: string;
  state: OnlineState;
  /** The checkpoint that `state` comes from; null for a new run. */
  resumeFrom: string | null;
  log: MetricsLog;
  rollouts: RolloutLog;
  /** Writes what is trained, as it is now, into a folder. */
  saveWeights: (folder: string) => Promise<void>;
  onEvent: (event: OnlineTrainEvent) => void;
}

/** One run of the loop over a model in memory. */
export class OnlineTrainer {
  readonly #in: OnlineTrainerInputs;
  readonly #optimizer: AdamW;
  readonly #learn: ReturnType<typeof learner>['learn'];
  readonly #maxSteps: number;
  readonly #pace = new StepPace();
  readonly state: OnlineState;
  /** The newest checkpoint. */
  checkpoint: string | null;
  #savedStep: number;

  constructor(inputs: OnlineTrainerInputs) {
    const { options, state, resumeFrom } = inputs;
    const { parameters, learn } = learner(inputs);
    this.#in = inputs;
    this.#learn = learn;
    this.state = state;
    this.checkpoint = resumeFrom;
    this.#savedStep = resumeFrom === null ? -1 : state.step;
    this.#maxSteps = inputs.batches.maxSteps;
    this.#optimizer = new AdamW(parameters, adamWOptions(options));
    if (resumeFrom !== null) restoreOptimizer(resumeFrom, this.#optimizer, state.step);
  }

  /**
   * Runs to the end, to a limit that stops it, or to an interrupt, which ends the step it falls into undone. What fails
   * outside of the update (a server, a reward model) fails the run as well, with its last step saved.
   */
  async run(): Promise<TrainOutcome> {
    try {
      return await this.#loop();
    } catch (error) {
      if (error instanceof TrainingError) throw error;
      if (this.#in.signal.aborted) return this.#interrupted();
      await this.#saveBeforeFailing();
      throw error;
    }
  }

  dispose(): void {
    this.#optimizer.dispose();
  }

  async #loop(): Promise<TrainOutcome> {
    const { options, signal } = this.#in;
    // An interrupt may have fallen into the evaluation that was due after the last step.
    const started = this.state.step > 0;
    if (started ? this.#isDue('evaluation') : options.evalOnStart) await this.#evaluate();
    while (this.state.step < this.#maxSteps) {
      if (signal.aborted) return this.#interrupted();
      await this.#step();
      if (this.#isDue('logging')) this.#logRow();
      if (this.#isDue('evaluation')) await this.#evaluate();
      if (this.#isDue('saving')) await this.#save();
      if (options.onRewardHacking === 'stop' && this.state.online.guards.passed.length > 0) {
        return this.#finished('stopped-early');
      }
    }
    return this.#finished('finished');
  }

  async #step(): Promise<void> {
    const { batches, onEvent } = this.#in;
    const { state } = this;
    const started = performance.now();
    const prompts = batches.at(state.step).flat();
    const made = await sampleStep(this.#in, prompts, state.step, this.#progress('train', prompts.length));
    const learningRate = this.#learningRate();
    const learned = await this.#update(made, learningRate);
    const metrics = this.#book(made, learned, learningRate);
    const sampled = made.groups.flatMap(({ samples }) => samples);
    const tokens = (learned?.packedTokens ?? 0) + sampled.reduce((sum, { ids }) => sum + ids.length, 0);
    this.#pace.add(tokens, (performance.now() - started) / 1000);
    onEvent({
      type: 'step',
      step: state.step,
      maxSteps: this.#maxSteps,
      epoch: this.#epoch(),
      metrics,
      tokens,
      tokensPerSecond: this.#pace.tokensPerSecond,
      secondsLeft: this.#pace.secondsPerStep * (this.#maxSteps - state.step),
    });
    this.#guard(metrics);
  }

  /** Null where there is no pair to learn from. */
  async #update({ pairs }: StepPairs, learningRate: number): Promise<Learned | null> {
    if (pairs.length === 0) return null;
    const { step } = this.state;
    return this.#learn(pairs, {
      optimizer: this.#optimizer,
      step,
      learningRate,
      checkpoint: this.checkpoint,
    });
  }

  /** Writes down what a step was, and counts it as done. */
  #book(made: StepPairs, learned: Learned | null, learningRate: number): Metrics {
    const { state } = this;
    const { groups, choices, margins, staleness } = made;
    const context = { step: state.step, set: 'train', staleness } as const;
    this.#in.rollouts.append(groups.map((group, i) => rolloutRow(group, choices[i] ?? null, context)));
    const books = state.online.groups;
    books.total += groups.length;
    for (const choice of choices) {
      if ('reason' in choice) books.withoutPair[choice.reason] = (books.withoutPair[choice.reason] ?? 0) + 1;
    }
    const metrics = {
      ...learned?.metrics,
      ...rolloutMetrics(groups),
      ...(margins.length > 0 && { reward_margin: mean(margins) }),
      frac_groups_without_pair: 1 - margins.length / groups.length,
      staleness,
      learning_rate: learningRate,
    };
    state.step++;
    state.numTokens += learned?.numTokens ?? 0;
    state.pending.push(metrics);
    state.lastMetrics = metrics;
    return metrics;
  }

  #guard(metrics: Metrics): void {
    const { options, onEvent } = this.#in;
    const { online, step } = this.state;
    const after = watchStep(
      online.guards,
      {
        meanLength: metrics['completions/mean_length'] as number,
        repetition: metrics['completions/repetition'] as number,
        klPerToken: metrics['objective/kl_per_token'] ?? null,
      },
      options,
    );
    for (const warning of newWarnings(online.guards, after)) {
      onEvent({ type: 'reward-hacking', step, ...warning });
    }
    online.guards = after;
  }

  async #evaluate(): Promise<void> {
    const { evaluation, evaluationFingerprint, log, rollouts, onEvent } = this.#in;
    const { state } = this;
    const { online, step } = state;
    if (evaluation.length === 0 || online.evaluatedStep === step) return;
    const known = online.firstEvaluation;
    const first = known?.prompts === evaluationFingerprint ? known.means : null;
    const progress = this.#progress('evaluation', evaluation.length);
    const { metrics, means, rows } = await measureHeldOut(this.#in, evaluation, { step, first }, progress);
    if (first === null) online.firstEvaluation = { prompts: evaluationFingerprint, means };
    online.evaluatedStep = step;
    state.evaluation = metrics;
    rollouts.append(rows);
    log.append({ step, epoch: this.#epoch(), ...metrics });
    onEvent({ type: 'evaluation', step, metrics, best: this.#isBest(metrics) });
  }

  #isBest({ eval_reward: value }: Metrics): boolean {
    const { state } = this;
    if (value === undefined || (state.best !== null && value <= state.best.value)) return false;
    state.best = { step: state.step, metric: 'eval_reward', value };
    return true;
  }

  #logRow(): void {
    const { state } = this;
    const newest = state.pending.at(-1);
    if (newest === undefined) return;
    this.#in.log.append({
      step: state.step,
      epoch: this.#epoch(),
      ...meanMetrics(state.pending),
      // As in the transformers trainer, these two are the last step's.
      ...(newest.grad_norm !== undefined && { grad_norm: newest.grad_norm }),
      learning_rate: newest.learning_rate as number,
      num_tokens: state.numTokens,
    });
    state.pending = [];
  }

  #isDue(what: 'logging' | 'evaluation' | 'saving'): boolean {
    const { options, batches } = this.#in;
    const { step } = this.state;
    const last = step === this.#maxSteps;
    const every = (steps: number) => step % stepInterval(steps, this.#maxSteps) === 0;
    if (last) return what !== 'saving' || options.saveStrategy !== 'no';
    if (what === 'logging') return every(options.loggingSteps);
    const [strategy, steps] =
      what === 'saving'
        ? [options.saveStrategy, options.saveSteps]
        : [options.evalStrategy, options.evalSteps];
    if (strategy === 'no') return false;
    return strategy === 'epoch' ? step % batches.stepsPerEpoch === 0 : every(steps);
  }

  async #save(): Promise<void> {
    const { options, log, rollouts, saveWeights, onEvent } = this.#in;
    const { state } = this;
    if (this.#savedStep === state.step) return;
    log.sync();
    state.online.rolloutBytes = rollouts.sync();
    this.checkpoint = await writeCheckpoint(options.outputDir, state, this.#optimizer, saveWeights);
    this.#savedStep = state.step;
    pruneCheckpoints(options.outputDir, options.saveTotalLimit, null);
    onEvent({ type: 'checkpoint', step: state.step, path: this.checkpoint });
  }

  async #interrupted(): Promise<TrainOutcome> {
    if (this.state.step > 0) await this.#save();
    return 'interrupted';
  }

  async #finished(outcome: TrainOutcome): Promise<TrainOutcome> {
    this.#logRow();
    await this.#evaluate();
    if (this.#in.options.saveStrategy !== 'no') await this.#save();
    return outcome;
  }

  async #saveBeforeFailing(): Promise<void> {
    if (this.state.step === 0) return;
    await this.#save();
    const message = `the state after step ${this.state.step} is saved in ${this.checkpoint}: go on from there with resume_from_checkpoint: true`;
    this.#in.onEvent({ type: 'notice', message });
  }

  #progress(set: 'train' | 'evaluation', total: number): (written: number, scored: number) => void {
    const { step } = this.state;
    return (written, scored) => this.#in.onEvent({ type: 'rollout', step, set, written, scored, total });
  }

  #learningRate(): number {
    const { learningRate, lrSchedulerType, warmupSteps } = this.#in.options;
    const schedule = { learningRate, lrSchedulerType, warmupSteps, maxSteps: this.#maxSteps };
    return learningRateAt(this.state.step, schedule);
  }

  #epoch(): number {
    return this.state.step / this.#in.batches.stepsPerEpoch;
  }
}
