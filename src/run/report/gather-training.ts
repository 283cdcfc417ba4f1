/** What trainings of a run left: wherever a stage has written metrics. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Message } from '../../data/pairs.js';
import { readMetrics } from '../../report/metrics-file.js';
import type { ReportTraining } from '../../report/report-data.js';
import { ROLLOUTS_FILE, type RolloutRow, readRollouts } from '../../train/online/rollout-log.js';
import { optionsFromYaml } from '../../train/options.js';
import { outputFiles } from '../../train/output-folder.js';
import type { RunFolder } from '../run-folder.js';
import { STAGE_NAMES } from '../stage-names.js';
import { shortMessages, shortText } from './short-text.js';

/** The trainings of a run in the order of its stages; a folder of `persona-dpo train` is one itself. */
export async function gatherTrainings(run: RunFolder): Promise<ReportTraining[]> {
  const folders = [
    { stage: '', folder: run.path },
    ...STAGE_NAMES.map((stage) => ({ stage, folder: run.stage(stage) })),
  ];
  const trainings: ReportTraining[] = [];
  for (const { stage, folder } of folders) {
    const file = join(folder, outputFiles.metrics);
    if (!existsSync(file)) continue;
    const metrics = readMetrics(file);
    if (metrics.length === 0) continue;
    const outcome = outcomeOf(folder);
    trainings.push({ stage, metrics, outcome, untrained: untrainedOf(folder), ...(await samplesOf(folder)) });
  }
  return trainings;
}

/** Groups of samples that a report holds. */
const MOST_GROUPS = 24;

/** Groups from the first to the last in equal steps. */
async function samplesOf(folder: string): Promise<Pick<ReportTraining, 'samples' | 'samplesInAll'>> {
  if (!existsSync(join(folder, ROLLOUTS_FILE))) return { samples: [], samplesInAll: 0 };
  let samplesInAll = 0;
  for await (const _ of readRollouts(folder)) samplesInAll++;
  const stride = Math.max(1, Math.ceil(samplesInAll / MOST_GROUPS));
  const samples: ReportTraining['samples'] = [];
  let index = 0;
  for await (const row of readRollouts(folder)) if (index++ % stride === 0) samples.push(sampleGroup(row));
  return { samples, samplesInAll };
}

function sampleGroup(row: RolloutRow): ReportTraining['samples'][number] {
  const { step, set, user, persona, prompt, completions, chosen, rejected } = row;
  const role = (index: number) => (index === chosen ? ', chosen' : index === rejected ? ', rejected' : '');
  return {
    step,
    heldOut: set === 'evaluation',
    group: {
      ...(user === undefined ? {} : { user }),
      ...(persona === undefined ? {} : { persona: shortText(persona) }),
      prompt: shortMessages(prompt as Message[]),
      answers: completions.map(({ text, reward }, index) => ({
        label: `${reward === null ? 'no reward' : `reward ${Number(reward.toPrecision(4))}`}${role(index)}`,
        text: shortText(text),
      })),
    },
  };
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
