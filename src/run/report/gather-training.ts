/** What trainings of a run left: wherever a stage has written metrics. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readMetrics } from '../../report/metrics-file.js';
import type { ReportTraining } from '../../report/report-data.js';
import { optionsFromYaml } from '../../train/options.js';
import { outputFiles } from '../../train/output-folder.js';
import type { RunFolder } from '../run-folder.js';
import { STAGE_NAMES } from '../stage-names.js';

/** The trainings of a run in the order of its stages; a folder of `persona-dpo train` is one itself. */
export function gatherTrainings(run: RunFolder): ReportTraining[] {
  const folders = [
    { stage: '', folder: run.path },
    ...STAGE_NAMES.map((stage) => ({ stage, folder: run.stage(stage) })),
  ];
  return folders.flatMap(({ stage, folder }) => {
    const file = join(folder, outputFiles.metrics);
    if (!existsSync(file)) return [];
    const metrics = readMetrics(file);
    return metrics.length === 0
      ? []
      : [{ stage, metrics, outcome: outcomeOf(folder), untrained: untrainedOf(folder) }];
  });
}

const summarySchema = z.looseObject({ outcome: z.string() });

function outcomeOf(folder: string): string | null {
  const file = join(folder, outputFiles.summary);
  if (!existsSync(file)) return null;
  try {
    return summarySchema.parse(JSON.parse(readFileSync(file, 'utf8'))).outcome;
  } catch {
    return null;
  }
}

/** Where the metrics of a policy that equals its reference stand. */
function untrainedOf(folder: string): Record<string, number> {
  const margins = { 'rewards/margins': 0 };
  try {
    const { options } = optionsFromYaml(readFileSync(join(folder, outputFiles.config), 'utf8'));
    const types = [options.lossType ?? 'sigmoid'].flat();
    return types.length === 1 && types[0] === 'sigmoid' ? { ...margins, loss: Math.LN2 } : margins;
  } catch {
    // Of another kind of training, or of another version: the loss alone can't tell.
    return margins;
  }
}
