/** The folder a run writes into: checked before training, and what lies where in it. */

import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../errors.js';

/** Names in an output folder. */
export const outputFiles = {
  config: 'config.yaml',
  metrics: 'metrics.jsonl',
  quarantine: 'quarantine.jsonl',
  dropped: 'dropped.jsonl',
  summary: 'summary.json',
  adapter: 'adapter',
  model: 'model',
  tensorboard: 'tensorboard',
} as const;

/**
 * Makes the folder, and checks that a new run may write into it.
 *
 * @throws ConfigError where it is not writable, or holds another run that is not being resumed.
 */
export function prepareOutputFolder(folder: string, resuming: boolean): void {
  makeWritableFolder('output_dir', folder);
  const held = [outputFiles.metrics, outputFiles.adapter, outputFiles.model].filter((name) =>
    existsSync(join(folder, name)),
  );
  if (!resuming && (held.length > 0 || checkpointSteps(folder).length > 0)) {
    throw new ConfigError(
      `output_dir ${folder} holds another run (${[...held, 'checkpoints'].slice(0, 1)}); choose another folder, or go on with it by resume_from_checkpoint: true`,
    );
  }
}

/** @throws ConfigError naming the option, where the folder cannot be made or written to */
export function makeWritableFolder(option: string, folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    const probe = join(folder, `.writable-${process.pid}`);
    writeFileSync(probe, '');
    rmSync(probe);
  } catch (cause) {
    throw new ConfigError(`${option} ${folder} cannot be written to: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Checks that `bytes` fit on the disk of `folder`.
 *
 * @throws ConfigError with what is needed and what is free.
 */
export function checkDiskSpace(folder: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  if (free >= bytes) return;
  const gigabytes = (value: number) => `${(value / 1e9).toFixed(2)} GB`;
  throw new ConfigError(
    `the run's checkpoints and weights take about ${gigabytes(bytes)} in ${folder}, where ${gigabytes(free)} are free; ` +
      'free some, or set save_strategy: no or save_total_limit',
  );
}

const CHECKPOINT = /^checkpoint-(\d+)$/;

export function checkpointFolder(folder: string, step: number): string {
  return join(folder, `checkpoint-${step}`);
}

/** Steps of the checkpoints in `folder`, ascending. */
export function checkpointSteps(folder: string): number[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .flatMap((name) => {
      const match = CHECKPOINT.exec(name);
      return match === null ? [] : [Number(match[1])];
    })
    .sort((a, b) => a - b);
}
