/** Checkpoints: everything a run needs to go on as if it had never stopped, in a folder that appears whole. */

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError } from '../errors.js';
import { openSafetensorsFile } from '../models/safetensors.js';
import { type TensorToWrite, writeSafetensors } from '../models/safetensors-write.js';
import { allocateTensor } from '../runtime/tensor.js';
import type { AdamW, OptimizerTensor } from './adamw.js';
import type { Metrics } from './events.js';
import { checkpointFolder, checkpointSteps } from './output-folder.js';

/** What every kind of run keeps of where it stands. */
export interface CheckpointState {
  /** Version of this layout. */
  version: 1;
  step: number;
}

/** Where a run stands after some optimizer steps. */
export interface TrainerState extends CheckpointState {
  /** When the run began (ISO 8601): chat templates that write the date keep to it. */
  startedAt: string;
  /** Tokens seen so far, as TRL's num_tokens counts them. */
  numTokens: number;
  /** Metrics of the steps since the last row of metrics.jsonl. */
  pending: Metrics[];
  lastMetrics: Metrics;
  evaluation: Metrics | null;
  best: { step: number; metric: string; value: number } | null;
  /** Evaluations in a row without a better metric. */
  evaluationsWithoutBest: number;
  /** What must be the same to go on: see TrainingData and the options that shape the trajectory. */
  dataFingerprint: string;
  trajectory: Record<string, unknown>;
}

const STATE_FILE = 'trainer_state.json';
const OPTIMIZER_FILE = 'optimizer.safetensors';

/**
 * Writes `checkpoint-STEP` in `folder`: beside it first, renamed when all of it is there.
 *
 * @param saveWeights Writes the adapter or model into the folder it is given.
 */
export async function writeCheckpoint(
  folder: string,
  state: CheckpointState,
  optimizer: AdamW,
  saveWeights: (folder: string) => Promise<void>,
): Promise<string> {
  const target = checkpointFolder(folder, state.step);
  const pending = join(folder, `.checkpoint-${state.step}.${process.pid}.tmp`);
  rmSync(pending, { recursive: true, force: true });
  mkdirSync(pending, { recursive: true });
  try {
    await saveWeights(pending);
    writeSafetensors(join(pending, OPTIMIZER_FILE), optimizerTensors(optimizer), {
      metadata: { step: String(optimizer.steps) },
    });
    writeFileSync(join(pending, STATE_FILE), `${JSON.stringify(state, null, 2)}\n`, { flush: true });
    rmSync(target, { recursive: true, force: true });
    renameSync(pending, target);
    return target;
  } catch (cause) {
    rmSync(pending, { recursive: true, force: true });
    throw new CheckpointError(
      `the checkpoint of step ${state.step} could not be written: ${(cause as Error).message}`,
      {
        cause,
        details: { folder: target },
      },
    );
  }
}

/** The state in a checkpoint folder. Throws CheckpointError where it is no whole checkpoint of this version. */
export function readTrainerState<State extends CheckpointState = TrainerState>(checkpoint: string): State {
  const path = join(checkpoint, STATE_FILE);
  let state: Partial<State>;
  try {
    state = JSON.parse(readFileSync(path, 'utf8')) as Partial<State>;
  } catch (cause) {
    throw new CheckpointError(`${checkpoint} is no checkpoint to go on from: ${(cause as Error).message}`, {
      cause,
    });
  }
  if (state.version !== 1 || typeof state.step !== 'number') {
    throw new CheckpointError(
      `${path} is of another version of persona-dpo (version ${state.version}, expected 1)`,
    );
  }
  return state as State;
}

/** The newest whole checkpoint in `folder`, or null. */
export function newestCheckpoint(folder: string): string | null {
  const step = checkpointSteps(folder)
    .reverse()
    .find((candidate) => existsSync(join(checkpointFolder(folder, candidate), STATE_FILE)));
  return step === undefined ? null : checkpointFolder(folder, step);
}

/** Puts weights, moments and step count of a checkpoint into `optimizer`, and so into the model. */
export function restoreOptimizer(checkpoint: string, optimizer: AdamW, step: number): void {
  const file = openSafetensorsFile(join(checkpoint, OPTIMIZER_FILE), { bytes: true });
  try {
    optimizer.restore(step, (wanted) => {
      const name = tensorName(wanted);
      const info = file.tensors.get(name);
      if (info === undefined || info.dtype !== wanted.dtype || info.shape.join() !== wanted.shape.join()) {
        throw new CheckpointError(
          `${checkpoint} has no ${name} of ${wanted.dtype} [${wanted.shape}]: it is of another model or optimizer`,
        );
      }
      return allocateTensor(wanted.dtype, info.shape, (bytes) => file.read(name, bytes));
    });
  } finally {
    file.close();
  }
}

/** Removes the oldest checkpoints, so that `limit` are left; the one at `protectedStep` stays in any case. */
export function pruneCheckpoints(folder: string, limit: number | null, protectedStep: number | null): void {
  if (limit === null) return;
  const removable = checkpointSteps(folder).filter((step) => step !== protectedStep);
  const kept = protectedStep === null ? limit : Math.max(1, limit - 1);
  for (const step of removable.slice(0, Math.max(0, removable.length - kept))) {
    rmSync(checkpointFolder(folder, step), { recursive: true, force: true });
  }
}

function tensorName({ name, id }: OptimizerTensor): string {
  return `${name}.${id}`;
}

function optimizerTensors(optimizer: AdamW): TensorToWrite[] {
  return [...optimizer.state()].map((each) => ({
    name: tensorName(each),
    dtype: each.dtype,
    shape: each.shape,
    bytes: () => {
      const value = each.read();
      const data = value.data();
      value.dispose();
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    },
  }));
}
