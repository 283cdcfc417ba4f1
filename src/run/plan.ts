/** What a run would do: each stage's state with the reasons, before and between the stages. */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, PersonaDpoError } from '../errors.js';
import { type Change, changesBetween } from './dependencies.js';
import type { FileHashes } from './file-hashes.js';
import type { Dependencies, Manifest } from './manifest.js';
import type { RunFolder } from './run-folder.js';
import type { KnownFacts, RunStage, StageEstimate, StageInput } from './stage.js';
import type { StageName } from './stage-names.js';

/** How one stage stands. */
export interface StageOutlook {
  stage: StageName;
  /**
   * `up-to-date`: nothing to do; `to-do`; `may-change`: to be done if a stage before it gives something else;
   * `left-out`: before `from` or after `until`.
   */
  state: 'up-to-date' | 'to-do' | 'may-change' | 'left-out';
  /** Why it is to be done, in words. */
  reasons: string[];
  /** What the model will be asked at most; null: not known yet; undefined: no model is asked. */
  estimate?: StageEstimate | null | undefined;
}

export interface RunPlan {
  folder: string;
  stages: StageOutlook[];
}

export interface PlanOptions {
  folder: RunFolder;
  /** All stages of the run, in their order. */
  stages: readonly RunStage[];
  /** Stages before it are taken as they are; it is done in any case. */
  from?: StageName | undefined;
  /** Stages after it are left out. */
  until?: StageName | undefined;
  hashes: FileHashes;
}

/** The plan of a whole run. Inputs that are not there yet are reasons, no errors. */
export async function planStages(options: PlanOptions): Promise<RunPlan> {
  const { folder, stages, hashes } = options;
  const facts = factsOf(folder, stages);
  const outlooks: StageOutlook[] = [];
  const pending = new Set<StageName>();
  for (const stage of stages) {
    const outlook = isLeftOut(stage.name, options)
      ? leftOut(stage.name)
      : await outlookOf(stage, { folder, hashes, pending, force: stage.name === options.from });
    if (outlook.state === 'to-do' || outlook.state === 'may-change') {
      pending.add(stage.name);
      outlook.estimate = stage.estimate(facts);
    }
    outlooks.push(outlook);
  }
  return { folder: folder.path, stages: outlooks };
}

export function leftOut(stage: StageName): StageOutlook {
  return { stage, state: 'left-out', reasons: [] };
}

/** @throws ConfigError where `from` or `until` is no stage of the run, or they exclude everything */
export function checkRange({ stages, from, until }: Pick<PlanOptions, 'stages' | 'from' | 'until'>): void {
  const names = stages.map(({ name }) => name);
  for (const [flag, name] of Object.entries({ from, until })) {
    if (name !== undefined && !names.includes(name)) {
      throw new ConfigError(`${flag}: this run has no stage ${name}; it has ${names.join(', ')}`);
    }
  }
  if (from !== undefined && until !== undefined && names.indexOf(from) > names.indexOf(until)) {
    throw new ConfigError(`from ${from} until ${until} leaves no stage: ${until} comes before ${from}`);
  }
}

export function isLeftOut(
  name: StageName,
  { stages, from, until }: Pick<PlanOptions, 'stages' | 'from' | 'until'>,
): boolean {
  const at = (stage: StageName) => stages.findIndex((each) => each.name === stage);
  return (from !== undefined && at(name) < at(from)) || (until !== undefined && at(name) > at(until));
}

export interface OutlookOptions {
  folder: RunFolder;
  hashes: FileHashes;
  /** Stages that are not done yet, so that what they give is not known. */
  pending: ReadonlySet<StageName>;
  /** Whether it is to be done in any case. */
  force: boolean;
}

/** How a stage stands as things are now. */
export async function outlookOf(
  stage: RunStage,
  { folder, hashes, pending, force }: OutlookOptions,
): Promise<StageOutlook> {
  const toDo = (reasons: string[]): StageOutlook => ({ stage: stage.name, state: 'to-do', reasons });
  const manifest = folder.manifest(stage.name);
  if (manifest === undefined) return toDo([begunReason(stage, folder), ...(await missingInputs(stage))]);
  const missing = Object.keys(manifest.outputs).filter(
    (file) => !existsSync(join(folder.stage(stage.name), file)),
  );
  if (missing.length > 0) return toDo([`${missing.join(', ')} is missing`]);
  const waits = stage.inputs.filter(({ from }) => from !== null && pending.has(from));
  const { dependencies, problems } = await knownDependencies(stage, hashes, new Set(waits));
  const changes = changesBetween(withoutInputs(manifest.dependencies, waits), dependencies);
  const reasons = [...problems, ...changes.map(inWords(stage)), ...(force ? ['asked for'] : [])];
  if (reasons.length > 0) return toDo(reasons);
  if (waits.length === 0) return { stage: stage.name, state: 'up-to-date', reasons: [] };
  const names = [...new Set(waits.map(({ from }) => from))].join(', ');
  return { stage: stage.name, state: 'may-change', reasons: [`if ${names} gives something else`] };
}

/** A change in words that name the stage it comes from, where it comes from one. */
function inWords({ inputs }: RunStage): (change: Change) => string {
  return ({ text, input }) => {
    const from = inputs.find(({ name }) => name === input)?.from ?? null;
    return from === null ? text : `${from} has given something else`;
  };
}

/** What is not there of what comes from outside the run. */
async function missingInputs({ inputs }: RunStage): Promise<string[]> {
  const problems: string[] = [];
  for (const { from, files } of inputs) {
    if (from !== null) continue;
    await files().catch((error: unknown) => {
      if (!(error instanceof PersonaDpoError)) throw error;
      problems.push(error.message);
    });
  }
  return problems;
}

function begunReason(stage: RunStage, folder: RunFolder): string {
  return stage.resumes && existsSync(folder.stage(stage.name)) ? 'begun and not finished' : 'not done yet';
}

/**
 * Everything that the stage's results depend on now.
 *
 * @throws ConfigError or DataError where an input is not there
 */
export async function dependenciesOf(stage: RunStage, hashes: FileHashes): Promise<Dependencies> {
  const inputs: Dependencies['inputs'] = {};
  for (const input of stage.inputs) inputs[input.name] = await inputHash(input, hashes);
  return { ...ownDependencies(stage), inputs };
}

function ownDependencies({ version, options, templates, model }: RunStage): Omit<Dependencies, 'inputs'> {
  const hashed = Object.entries(templates).map(([name, source]) => [name, sha256(source)] as const);
  return { version, options, templates: Object.fromEntries(hashed), model };
}

async function knownDependencies(
  stage: RunStage,
  hashes: FileHashes,
  leaveOut: ReadonlySet<StageInput>,
): Promise<{ dependencies: Dependencies; problems: string[] }> {
  const problems: string[] = [];
  const inputs: Dependencies['inputs'] = {};
  for (const input of stage.inputs) {
    if (leaveOut.has(input)) continue;
    try {
      inputs[input.name] = await inputHash(input, hashes);
    } catch (error) {
      if (!(error instanceof PersonaDpoError)) throw error;
      problems.push(error.message);
    }
  }
  return { dependencies: { ...ownDependencies(stage), inputs }, problems };
}

function withoutInputs(dependencies: Dependencies, leaveOut: readonly StageInput[]): Dependencies {
  const names = leaveOut.map(({ name }) => name);
  const kept = Object.entries(dependencies.inputs).filter(([name]) => !names.includes(name));
  return { ...dependencies, inputs: Object.fromEntries(kept) };
}

async function inputHash({ files }: StageInput, hashes: FileHashes): Promise<string> {
  const each: string[] = [];
  for (const file of await files()) each.push(await hashes.sha256(file));
  return each.length === 1 ? (each[0] as string) : sha256(each.join('\n'));
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Figures of the stages that are done. */
export function factsOf(folder: RunFolder, stages: readonly RunStage[]): KnownFacts {
  const manifests = stages.flatMap(({ name }) => folder.manifest(name) ?? []);
  return Object.fromEntries(manifests.map(({ stage, facts }: Manifest) => [stage, facts]));
}
