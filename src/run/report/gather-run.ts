/** A run's folder as its report shows it. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { readEvaluations } from '../../eval/results.js';
import type { ReportPersona, ReportRun } from '../../report/report-data.js';
import { readRows } from '../row-files.js';
import { personaSchema } from '../row-schemas.js';
import { existingRun, type RunFolder } from '../run-folder.js';
import { stageFiles } from '../stages/setup.js';
import { gatherPairs } from './gather-pairs.js';
import { gatherStages } from './gather-stages.js';
import { gatherTrainings } from './gather-training.js';
import { shortText } from './short-text.js';

export interface GatherOptions {
  /** Pairs, and personas, that are taken at most; with 0 nothing is taken that users or models have said. */
  mostPairs: number;
}

/**
 * Reads everything that a report shows of a run, also of one that is not done yet.
 *
 * @throws ConfigError where there is no run; DataError for a file that can't be read
 */
export async function gatherRun(
  folder: string,
  name: string,
  { mostPairs }: GatherOptions,
): Promise<ReportRun> {
  const run = existingRun(folder);
  const stages = await gatherStages(run);
  const { byUser, ...pairs } = await gatherPairs(run, mostPairs);
  const config = configOf(run);
  const gathered: ReportRun = {
    name,
    folder,
    config,
    settings: config === null ? {} : settingsOf(config),
    stages,
    trainings: await gatherTrainings(run),
    evaluations: readEvaluations(folder),
    ...(await gatherPersonas(run, byUser, mostPairs)),
    ...pairs,
  };
  return mostPairs === 0 ? withoutWords(gathered) : gathered;
}

/** Only figures and settings: no names of what was dropped, no samples, no answers. */
function withoutWords(run: ReportRun): ReportRun {
  return {
    ...run,
    stages: run.stages.map((stage) => ({ ...stage, examples: [] })),
    trainings: run.trainings.map((training) => ({ ...training, samples: [], samplesInAll: 0 })),
    evaluations: run.evaluations.map((evaluation) => ({ ...evaluation, answers: [] })),
  };
}

function configOf(run: RunFolder): string | null {
  const file = run.file('config');
  return existsSync(file) ? readFileSync(file, 'utf8') : null;
}

/** `train.lora_r: 16` of nested YAML; lists as they stand in JSON. */
function settingsOf(yaml: string): Record<string, string> {
  const settings: [string, string][] = [];
  const walk = (path: string, value: unknown): void => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [name, inner] of Object.entries(value)) walk(path === '' ? name : `${path}.${name}`, inner);
    } else settings.push([path, typeof value === 'string' ? value : JSON.stringify(value)]);
  };
  try {
    walk('', parse(yaml));
  } catch {
    // The text is shown as it is.
    return {};
  }
  return Object.fromEntries(settings);
}

async function gatherPersonas(
  run: RunFolder,
  pairsByUser: ReadonlyMap<string, number>,
  most: number,
): Promise<Pick<ReportRun, 'personas' | 'personasInAll'>> {
  const personas: ReportPersona[] = [];
  let personasInAll = 0;
  const path = join(run.stage('personas'), stageFiles.personas);
  if (existsSync(path)) {
    for await (const row of readRows(path, personaSchema)) {
      personasInAll++;
      if (personas.length >= most) continue;
      const { user, persona, conversations, messagesShown, messagesLeftOut, model } = row;
      personas.push({
        user,
        persona: shortText(persona),
        conversations: conversations.length,
        messagesShown,
        messagesLeftOut,
        model,
        pairs: pairsByUser.get(user) ?? 0,
      });
    }
  }
  return { personas, personasInAll };
}
