/** Where a run stands: what is done, what is at work, what is not done yet. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../errors.js';
import { lockOwner } from '../runtime/install/process-lock.js';
import { readRunConfig } from './config/config-file.js';
import type { ResolvedRunConfig } from './config/run-config.js';
import type { Manifest } from './manifest.js';
import { readProgress, type StageAtWork } from './progress-file.js';
import { DROPPED_FILE, existingRun, type RunFolder } from './run-folder.js';
import { isTraining, STAGE_NAMES, type StageName } from './stage-names.js';

export interface StageStatus extends Pick<Manifest, 'counts' | 'usage' | 'seconds' | 'finishedAt'> {
  stage: StageName;
  state: 'done';
  /** What was dropped and why, row by row; null where nothing keeps it. */
  dropped: string | null;
}

export interface StageNotDone {
  stage: StageName;
  state: 'not-done';
}

export interface RunStatus {
  folder: string;
  /** The process that works on it; null for none. */
  worker: { pid: number | null; host: string | null; atWork: StageAtWork | null } | null;
  stages: (StageStatus | StageNotDone)[];
  /** Trials on the first conversations. */
  limited: string[];
}

/**
 * Reads where a run stands, also while another process works on it. Whether what is done is still up to date is told
 * by the plan, which needs the logs: `persona-dpo run CONFIG --dry-run`.
 *
 * @throws ConfigError where there is no run
 */
export async function runStatus(path: string): Promise<RunStatus> {
  const run = existingRun(path);
  const planned = plannedStages(run);
  const owner = await lockOwner(run.file('lock'));
  return {
    folder: path,
    worker:
      owner === undefined
        ? null
        : { pid: owner.pid ?? null, host: owner.host ?? null, atWork: atWork(run) ?? null },
    stages: STAGE_NAMES.flatMap((stage) => statusOf(stage, run, planned)),
    limited: run.limited().map((limited) => limited.path),
  };
}

function atWork(run: RunFolder): StageAtWork | undefined {
  return [run, ...run.limited()].map(readProgress).find((progress) => progress !== undefined);
}

function statusOf(
  stage: StageName,
  run: RunFolder,
  planned: ReadonlySet<StageName>,
): (StageStatus | StageNotDone)[] {
  const manifest = run.manifest(stage);
  if (manifest === undefined) return planned.has(stage) ? [{ stage, state: 'not-done' }] : [];
  const { counts, usage, seconds, finishedAt } = manifest;
  const dropped = join(run.stage(stage), DROPPED_FILE);
  return [
    {
      stage,
      state: 'done',
      counts,
      usage,
      seconds,
      finishedAt,
      dropped: existsSync(dropped) ? dropped : null,
    },
  ];
}

/** Stages that the configuration of the run has; none where it was made by single stages. */
function plannedStages(run: RunFolder): Set<StageName> {
  if (!existsSync(run.file('config'))) return new Set();
  let config: ResolvedRunConfig;
  try {
    config = readRunConfig(run.file('config')).config;
  } catch (error) {
    // An older version's: what is done can still be told.
    if (error instanceof ConfigError) return new Set();
    throw error;
  }
  const { sections } = config;
  return new Set(
    STAGE_NAMES.filter((stage) => (isTraining(stage) ? config[stage] : sections[stage]) !== null),
  );
}
