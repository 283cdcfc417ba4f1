/** How far the stage at work is, for whoever looks at the run's folder meanwhile. */

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import type { RunFolder } from './run-folder.js';
import { STAGE_NAMES } from './stage-names.js';

const progressSchema = z.object({
  stage: z.enum(STAGE_NAMES),
  done: z.number(),
  /** 0 where it is not known. */
  total: z.number(),
});
export type StageAtWork = z.output<typeof progressSchema>;

const MS_BETWEEN_WRITES = 1000;
const lastWrites = new WeakMap<RunFolder, number>();

/** Writes it down, at most once a second. */
export function writeProgress(folder: RunFolder, progress: StageAtWork): void {
  const now = Date.now();
  if (now - (lastWrites.get(folder) ?? 0) < MS_BETWEEN_WRITES) return;
  lastWrites.set(folder, now);
  const path = folder.file('progress');
  writeFileSync(`${path}.tmp`, JSON.stringify(progress));
  renameSync(`${path}.tmp`, path);
}

export function readProgress(folder: RunFolder): StageAtWork | undefined {
  try {
    return progressSchema.parse(JSON.parse(readFileSync(folder.file('progress'), 'utf8')));
  } catch {
    return undefined;
  }
}
