/** `rollouts.jsonl`: every sample of a run with its reward, a group of samples a line. */

import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { BadRowError } from '../../data/pair-formats.js';
import { streamCheckedRows } from '../../data/read-rows.js';
import { ConfigError } from '../../errors.js';
import type { Choice } from './choose-pair.js';
import type { Group } from './rollouts.js';

export const ROLLOUTS_FILE = 'rollouts.jsonl';

const rolloutSchema = z.object({
  /** Steps done before; the samples are of the policy as it was then, or `staleness` steps earlier. */
  step: z.number(),
  set: z.enum(['train', 'evaluation']),
  prompt_id: z.string(),
  user: z.string().optional(),
  persona: z.string().optional(),
  prompt: z.array(z.object({ role: z.string(), content: z.string() })),
  completions: z.array(
    z.object({
      text: z.string(),
      tokens: z.number(),
      finish_reason: z.enum(['stop', 'length']),
      reward: z.number().nullable(),
    }),
  ),
  /** Indices of the completions that became a pair; null for none, and in evaluations. */
  chosen: z.number().nullable(),
  rejected: z.number().nullable(),
  /** Why there is no pair. */
  no_pair: z.string().optional(),
  staleness: z.number(),
});

/** A line of `rollouts.jsonl`. */
export type RolloutRow = z.output<typeof rolloutSchema>;

export interface RolloutContext {
  step: number;
  set: RolloutRow['set'];
  staleness: number;
}

export function rolloutRow(
  { prompt, samples }: Group,
  choice: Choice | null,
  { step, set, staleness }: RolloutContext,
): RolloutRow {
  const { id, user, persona, messages } = prompt;
  return {
    ...{ step, set, prompt_id: id },
    ...(user !== undefined && { user }),
    ...(persona !== undefined && { persona }),
    prompt: messages.map(({ role, content }) => ({ role, content })),
    completions: samples.map(({ text, ids, finishReason, reward }) => ({
      ...{ text, tokens: ids.length, finish_reason: finishReason, reward },
    })),
    chosen: choice !== null && 'chosen' in choice ? choice.chosen : null,
    rejected: choice !== null && 'chosen' in choice ? choice.rejected : null,
    ...(choice !== null && 'reason' in choice && { no_pair: choice.reason }),
    staleness,
  };
}

export interface RolloutLog {
  append(rows: readonly RolloutRow[]): void;
  /** Makes sure that what was appended is on disk, and says where the file ends then. */
  sync(): number;
  close(): void;
}

/**
 * Opens the log in `folder`, cut back to its first `bytes`: those that were there when the checkpoint was written that
 * the run goes on from. A shorter file is another run's, and is begun anew.
 */
export function openRolloutLog(folder: string, bytes: number): RolloutLog {
  const file = openSync(join(folder, ROLLOUTS_FILE), 'a+');
  ftruncateSync(file, fstatSync(file).size < bytes ? 0 : bytes);
  return {
    append(rows) {
      if (rows.length > 0) writeSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    },
    sync() {
      fsyncSync(file);
      return fstatSync(file).size;
    },
    close: () => closeSync(file),
  };
}

/** A log that keeps nothing. */
export function noRolloutLog(): RolloutLog {
  return { append: () => {}, sync: () => 0, close: () => {} };
}

const MAX_ROW_BYTES = 256 * 1024 * 1024;

/**
 * The groups of a run in the order in which they were written, one by one.
 *
 * @param path The run's folder, or its `rollouts.jsonl`
 * @throws ConfigError where there is no such file; a line that a killed run left half written is passed over
 */
export async function* readRollouts(path: string): AsyncGenerator<RolloutRow, void, void> {
  const file = statSync(path, { throwIfNoEntry: false })?.isDirectory() ? join(path, ROLLOUTS_FILE) : path;
  if (!existsSync(file)) {
    throw new ConfigError(
      `there are no rollouts in ${path}: expected the folder of a run of train-online, or its ${ROLLOUTS_FILE}`,
    );
  }
  for await (const read of streamCheckedRows(file, parseRollout, { maxRowBytes: MAX_ROW_BYTES })) {
    if (read.ok) yield read.row;
  }
}

function parseRollout(value: unknown): RolloutRow {
  const parsed = rolloutSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new BadRowError(`no group of samples: ${parsed.error.issues[0]?.message}`);
}
