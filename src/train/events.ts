/** What a training run tells while it works, and what it hands back. */

/** Metrics by TRL's names: `loss`, `rewards/margins`, `grad_norm`, `eval_loss`, ... */
export type Metrics = Readonly<Record<string, number>>;

/** What `train` tells while it runs. */
export type TrainEvent =
  /** A part of the work begins; `message` says so in a few words. */
  | { type: 'stage'; message: string }
  /** Something the user should know that is no error: options passed over, rows set aside, pairs dropped. */
  | { type: 'notice'; message: string }
  /** Reference log-probabilities: `done` of `total` pairs, of which `cached` were already on disk. */
  | { type: 'reference'; done: number; total: number; cached: number }
  /** One optimizer step is done: `step` of `maxSteps`. */
  | {
      type: 'step';
      step: number;
      maxSteps: number;
      epoch: number;
      metrics: Metrics;
      /** Tokens that went through the model for this step. */
      tokens: number;
      tokensPerSecond: number;
      secondsLeft: number;
    }
  /** An evaluation is done; its metrics carry the prefix `eval_`. */
  | { type: 'evaluation'; step: number; metrics: Metrics; best: boolean }
  /** A whole checkpoint is on disk. */
  | { type: 'checkpoint'; step: number; path: string };

/** How a run ended. */
export type TrainOutcome = 'finished' | 'stopped-early' | 'interrupted';

/** How a run ended, and where its results are. */
export interface TrainSummary {
  outcome: TrainOutcome;
  /** Optimizer steps done, those before a resumption included. */
  step: number;
  maxSteps: number;
  epoch: number;
  outputDir: string;
  /** Folder of the trained adapter or model; `null` when the run was interrupted. */
  weights: { kind: 'adapter' | 'model'; path: string } | null;
  /** The newest checkpoint, if there is one: what a later run can go on from. */
  checkpoint: string | null;
  /** Metrics of the last step. */
  metrics: Metrics;
  /** Metrics of the last evaluation, `eval_*`. */
  evaluation: Metrics | null;
  bestCheckpoint: { path: string; step: number; metric: string; value: number } | null;
  /** Pairs trained on, rows set aside as unreadable, pairs dropped because nothing of a response was left. */
  pairs: { used: number; bad: number; dropped: number };
  /** Wall-clock seconds of this call. */
  seconds: number;
}
