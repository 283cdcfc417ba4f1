/** What each stage of a run did: its books, a few things that it left out, what it took. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { ReportStage } from '../../report/report-data.js';
import type { Manifest } from '../manifest.js';
import { readRows } from '../row-files.js';
import { DROPPED_FILE, type RunFolder } from '../run-folder.js';
import { STAGE_NAMES, STAGE_TITLES, type StageName } from '../stage-names.js';
import { runStatus } from '../status.js';
import { shortText } from './short-text.js';

/** Things left out that are named, of each reason. */
const EXAMPLES_OF_REASON = 5;
const DETAIL_CHARACTERS = 300;
const GIGABYTE = 1024 ** 3;

/** The stages of a run, those that are still to be done included, in their order. */
export async function gatherStages(run: RunFolder): Promise<ReportStage[]> {
  const { stages } = await runStatus(run.path);
  const known = new Map(stages.map((status) => [status.stage, status]));
  const gathered: ReportStage[] = [];
  for (const name of STAGE_NAMES) {
    if (!known.has(name)) continue;
    const manifest = run.manifest(name);
    gathered.push(manifest === undefined ? notDone(name) : await doneStage(run, manifest));
  }
  return gathered;
}

function notDone(name: StageName): ReportStage {
  return {
    name,
    title: STAGE_TITLES[name],
    done: false,
    counts: [],
    examples: [],
    seconds: null,
    usage: null,
    model: null,
    startedAt: null,
    finishedAt: null,
    versions: {},
    files: [],
  };
}

async function doneStage(run: RunFolder, manifest: Manifest): Promise<ReportStage> {
  const { stage, counts, seconds, usage, startedAt, finishedAt, outputs, dependencies } = manifest;
  return {
    name: stage,
    title: STAGE_TITLES[stage],
    done: true,
    counts,
    examples: await examplesOf(run, stage),
    seconds,
    usage,
    model: manifest.modelIdentity ?? dependencies.model,
    startedAt,
    finishedAt,
    versions: versionsOf(manifest),
    files: Object.entries(outputs).map(([name, { rows, bytes }]) => ({ name, rows, bytes })),
  };
}

function versionsOf({ versions, machine }: Manifest): Record<string, string> {
  return {
    'persona-dpo': versions.package,
    Node: versions.node,
    ...(machine === undefined
      ? {}
      : {
          machine: `${machine.cpu}, ${machine.cores} cores, ${(machine.memoryBytes / GIGABYTE).toFixed(1)} GiB, ${machine.platform}`,
        }),
  };
}

const droppedSchema = z.looseObject({
  id: z.string(),
  reason: z.string(),
  detail: z.string().optional(),
});

async function examplesOf(run: RunFolder, stage: StageName): Promise<ReportStage['examples']> {
  const path = join(run.stage(stage), DROPPED_FILE);
  const examples: ReportStage['examples'] = [];
  if (!existsSync(path)) return examples;
  const seen = new Map<string, number>();
  for await (const row of readRows(path, z.unknown())) {
    // Trainings name the rows of their own files in a form of their own.
    const parsed = droppedSchema.safeParse(row);
    if (!parsed.success) continue;
    const { id, reason, detail } = parsed.data;
    const number = (seen.get(reason) ?? 0) + 1;
    seen.set(reason, number);
    if (number > EXAMPLES_OF_REASON) continue;
    examples.push({
      reason,
      id: shortText(id, DETAIL_CHARACTERS),
      ...(detail === undefined ? {} : { detail: shortText(detail, DETAIL_CHARACTERS) }),
    });
  }
  return examples;
}
