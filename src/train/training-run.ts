/** The beginning of every training run: its folder, the checkpoint that it goes on from, and who follows it. */

import { join } from 'node:path';
import { writeFileAtomic } from '../data/atomic-write.js';
import { ConfigError } from '../errors.js';
import type { HubOptions } from '../models/hub-options.js';
import { newestCheckpoint, readTrainerState, type TrainerState } from './checkpoint.js';
import type { TrainEvent } from './events.js';
import { outputFiles, prepareOutputFolder } from './output-folder.js';
import { checkSameOptions } from './trajectory-options.js';

/** How a program follows and stops a run. */
export interface TrainHooks {
  /** Told of everything that happens, in order. */
  onEvent?: (event: TrainEvent) => void;
  /** When aborted, the run finishes its step, saves a checkpoint and returns with outcome `interrupted`. */
  signal?: AbortSignal;
  /** How to reach the Hugging Face Hub. Default: the public endpoint without a token. */
  hub?: HubOptions;
}

/** What the options of every kind of run have. */
export interface RunOptions {
  outputDir: string;
  resumeFromCheckpoint: boolean | string;
}

/** What differs between kinds of runs at their beginning. */
export interface RunKind<Options> {
  /** Checks what the options name, as far as that is quick; nothing has been written then. */
  checkInputs(options: Options): void;
  /** The options that shape what is computed: a run goes on from a checkpoint only with the same ones. */
  trajectory(options: Options): Readonly<Record<string, unknown>>;
  /** The text of `config.yaml`. */
  toYaml(options: Options): string;
}

/** What a run knows before its model is loaded. */
export interface TrainingRun<Options> {
  options: Options;
  /** Folder of the checkpoint that the run goes on from. */
  resumeFrom: string | null;
  saved: TrainerState | null;
  /** When the run began (ISO 8601), before any resumption. */
  startedAt: string;
  onEvent: (event: TrainEvent) => void;
  signal: AbortSignal;
  hub: HubOptions;
}

/** Checks the output folder, finds the checkpoint to go on from, and writes down the options. */
export async function openTrainingRun<Options extends RunOptions>(
  options: Options,
  hooks: TrainHooks,
  kind: RunKind<Options>,
): Promise<TrainingRun<Options>> {
  const { outputDir, resumeFromCheckpoint } = options;
  kind.checkInputs(options);
  prepareOutputFolder(outputDir, resumeFromCheckpoint !== false);
  const resumeFrom = checkpointToResume(options);
  const saved = resumeFrom === null ? null : readTrainerState(resumeFrom);
  if (saved !== null) checkSameOptions(saved.trajectory, kind.trajectory(options));
  await writeFileAtomic(join(outputDir, outputFiles.config), kind.toYaml(options));
  const onEvent = hooks.onEvent ?? (() => {});
  if (resumeFromCheckpoint === true && resumeFrom === null) {
    onEvent({ type: 'notice', message: `there is no checkpoint in ${outputDir}; the run begins anew` });
  }
  return {
    options,
    resumeFrom,
    saved,
    startedAt: saved?.startedAt ?? new Date().toISOString(),
    onEvent,
    signal: hooks.signal ?? new AbortController().signal,
    hub: { ...hooks.hub, ...(hooks.signal !== undefined && { signal: hooks.signal }) },
  };
}

function checkpointToResume({ resumeFromCheckpoint, outputDir }: RunOptions): string | null {
  if (resumeFromCheckpoint === false) return null;
  if (resumeFromCheckpoint !== true) return resumeFromCheckpoint;
  // A run that was stopped before its first checkpoint begins anew.
  return newestCheckpoint(outputDir);
}

/**
 * Where the training loop begins: at the checkpoint, or before the first step.
 *
 * @throws ConfigError where the checkpoint is of a run on other tokens
 */
export function startState(
  { saved, resumeFrom, startedAt }: Pick<TrainingRun<unknown>, 'saved' | 'resumeFrom' | 'startedAt'>,
  dataFingerprint: string,
  trajectory: Record<string, unknown>,
): TrainerState {
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
      dataFingerprint,
      trajectory,
    };
  }
  if (saved.dataFingerprint !== dataFingerprint) {
    throw new ConfigError(
      `${resumeFrom} is of a run on other pairs, or their tokens have changed (template, persona, max_length)`,
    );
  }
  return saved;
}
