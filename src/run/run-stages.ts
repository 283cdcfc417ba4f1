/** Does the stages of a run that are to be done, one after the other, each into its folder with a manifest. */

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { writeFileAtomic } from '../data/atomic-write.js';
import { machineReport } from '../runtime/device-report.js';
import { outputFiles } from '../train/output-folder.js';
import { isSameWork } from './dependencies.js';
import type { RunEvent } from './events.js';
import type { FileHashes } from './file-hashes.js';
import { type Dependencies, MANIFEST_FILE, type Manifest, manifestText, newManifest } from './manifest.js';
import { packageVersion } from './package-version.js';
import {
  checkRange,
  dependenciesOf,
  factsOf,
  isLeftOut,
  leftOut,
  outlookOf,
  type StageOutlook,
} from './plan.js';
import { writeProgress } from './progress-file.js';
import type { RunFolder } from './run-folder.js';
import type { RunStage, StageResult, StageWork } from './stage.js';
import type { StageName } from './stage-names.js';

/** What a stage that can be gone on with was begun with. */
const BEGUN_FILE = 'begun.json';

export interface RunStagesOptions {
  folder: RunFolder;
  /** All stages of the run, in their order. */
  stages: readonly RunStage[];
  from?: StageName | undefined;
  until?: StageName | undefined;
  hashes: FileHashes;
  signal: AbortSignal;
  onEvent(event: RunEvent): void;
}

export interface StagesOutcome {
  /** The stage that was interrupted; null where all were done. */
  interrupted: StageName | null;
  /** What was decided of each stage, and done. */
  stages: StageOutlook[];
}

/**
 * Does what is to be done. The folder's lock must be held.
 *
 * @throws what a stage throws; the stages before it stay done
 */
export async function runStages(options: RunStagesOptions): Promise<StagesOutcome> {
  checkRange(options);
  const { folder, stages, hashes, signal, onEvent } = options;
  const decided: StageOutlook[] = [];
  for (const stage of stages) {
    if (isLeftOut(stage.name, options)) {
      decided.push(leftOut(stage.name));
      continue;
    }
    const force = stage.name === options.from;
    const outlook = await outlookOf(stage, { folder, hashes, pending: new Set(), force });
    decided.push(outlook);
    if (outlook.state === 'up-to-date') {
      await tellOfEdits(stage, options);
      onEvent({ type: 'up-to-date', stage: stage.name });
      continue;
    }
    const estimate = stage.estimate(factsOf(folder, stages));
    onEvent({ type: 'stage', stage: stage.name, outlook: { ...outlook, estimate } });
    try {
      signal.throwIfAborted();
      await runStage(stage, options, force);
    } catch (error) {
      if (signal.aborted) return { interrupted: stage.name, stages: decided };
      throw error;
    } finally {
      await hashes.save();
      rmSync(folder.file('progress'), { force: true });
    }
  }
  return { interrupted: null, stages: decided };
}

async function runStage(stage: RunStage, options: RunStagesOptions, force: boolean): Promise<void> {
  const { folder, hashes, signal, onEvent } = options;
  const { name } = stage;
  const started = performance.now();
  const startedAt = new Date().toISOString();
  const dependencies = await dependenciesOf(stage, hashes);
  const before = folder.manifest(name);
  const place = stage.resumes ? await beginInPlace(stage, dependencies, options) : beginAside(stage, folder);
  try {
    const rows = await countedRows(stage, options);
    const previous = !force && before !== undefined && onlyInputsChanged(before, dependencies);
    const work = workOf(stage, place, rows, options);
    const result = await stage.run({ ...work, previous: previous ? folder.stage(name) : null });
    signal.throwIfAborted();
    const manifest = newManifest({
      stage: name,
      // A model from the Hub has its revision only once it was fetched.
      dependencies: { ...dependencies, model: stage.model },
      inputs: await inputsOf(stage),
      ...pick(result),
      versions: { package: packageVersion(), node: process.versions.node },
      machine: machineOf(),
      startedAt,
      finishedAt: new Date().toISOString(),
      seconds: (performance.now() - started) / 1000,
    });
    await writeFileAtomic(join(place.folder, MANIFEST_FILE), manifestText(manifest));
    place.commit();
    for (const [file, { sha256 }] of Object.entries(result.outputs)) {
      hashes.know(join(folder.stage(name), file), sha256);
    }
    const { counts, facts, usage, seconds } = manifest;
    onEvent({ type: 'done', stage: name, counts, facts, usage, seconds, same: isSame(before, manifest) });
  } catch (error) {
    place.abandon();
    throw error;
  }
}

function machineOf(): NonNullable<Manifest['machine']> {
  const { cpu, cores, memoryBytes } = machineReport();
  return { cpu, cores, memoryBytes, platform: `${process.platform} ${process.arch}` };
}

function onlyInputsChanged(before: Manifest, now: Dependencies): boolean {
  return isSameWork({ ...before.dependencies, inputs: now.inputs }, now);
}

function pick({ outputs, counts, facts, modelIdentity, usage }: StageResult) {
  return { outputs, counts, facts, modelIdentity, usage };
}

interface Place {
  folder: string;
  resuming: boolean;
  commit(): void;
  abandon(): void;
}

function beginAside({ name }: RunStage, folder: RunFolder): Place {
  return {
    folder: folder.begin(name),
    resuming: false,
    commit: () => folder.commit(name),
    abandon: () => folder.abandon(name),
  };
}

/**
 * Of a stage that can be gone on with: its own folder, with what is in it where that was begun with the same
 * dependencies. Finished weights are kept elsewhere rather than written over; half a training is not.
 */
async function beginInPlace(
  { name }: RunStage,
  dependencies: Dependencies,
  { folder, onEvent }: RunStagesOptions,
): Promise<Place> {
  const path = folder.stage(name);
  const begunFile = join(path, BEGUN_FILE);
  const begun = readJson(begunFile) as Dependencies | undefined;
  const resuming =
    !existsSync(join(path, MANIFEST_FILE)) && begun !== undefined && isSameWork(begun, dependencies);
  if (!resuming && existsSync(path)) {
    const finished = [outputFiles.adapter, outputFiles.model].some((each) => existsSync(join(path, each)));
    if (finished) {
      const message = `what was trained before is kept in ${folder.putAside(name)}`;
      onEvent({ type: 'notice', stage: name, message });
    } else rmSync(path, { recursive: true });
  }
  await writeFileAtomic(begunFile, `${JSON.stringify(dependencies)}\n`);
  return { folder: path, resuming, commit: () => undefined, abandon: () => undefined };
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

function workOf(
  { name }: RunStage,
  { folder, resuming }: Place,
  rows: ReadonlyMap<string, number | null>,
  { folder: run, signal, onEvent }: RunStagesOptions,
): Omit<StageWork, 'previous'> {
  return {
    folder,
    resuming,
    expectedRows: (file) => rows.get(file) ?? null,
    signal,
    onProgress(progress) {
      writeProgress(run, { stage: name, done: progress.done, total: progress.total });
      onEvent({ type: 'progress', stage: name, ...progress });
    },
    onNotice: (message) => onEvent({ type: 'notice', stage: name, message }),
    onTrainEvent(event) {
      if (event.type === 'step') {
        writeProgress(run, { stage: name, done: event.step, total: event.maxSteps });
      }
      onEvent({ type: 'train', event });
    },
  };
}

/** Rows of the files that a stage reads, as their writers counted them; without files that were changed since. */
async function countedRows(
  { inputs }: RunStage,
  { folder, hashes }: RunStagesOptions,
): Promise<Map<string, number | null>> {
  const rows = new Map<string, number | null>();
  for (const { from } of inputs) {
    if (from === null) continue;
    for (const [file, output] of Object.entries(folder.manifest(from)?.outputs ?? {})) {
      const path = join(folder.stage(from), file);
      if (existsSync(path) && (await hashes.sha256(path)) === output.sha256) rows.set(path, output.rows);
    }
  }
  return rows;
}

/** Says of files that were changed by hand that they are used as they are. */
async function tellOfEdits({ name }: RunStage, { folder, hashes, onEvent }: RunStagesOptions): Promise<void> {
  for (const [file, { sha256 }] of Object.entries(folder.manifest(name)?.outputs ?? {})) {
    const path = join(folder.stage(name), file);
    if (!existsSync(path) || (await hashes.sha256(path)) === sha256) continue;
    const message = `${path} was changed after it was written; it is used as it is (--from ${name} makes it anew)`;
    onEvent({ type: 'notice', stage: name, message });
  }
}

async function inputsOf({ inputs }: RunStage): Promise<Manifest['inputs']> {
  const files: Manifest['inputs'] = {};
  for (const input of inputs) files[input.name] = await input.files();
  return files;
}

/** Whether two manifests are of the same rows. */
function isSame(before: Manifest | undefined, now: Manifest): boolean {
  const hashes = ({ outputs }: Manifest) =>
    Object.entries(outputs).map(([file, { sha256 }]) => [file, sha256]);
  return before !== undefined && isDeepStrictEqual(hashes(before), hashes(now));
}
