/** Stages of one run that are taken over from others that did the very same. */

import { linkSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PersonaDpoError } from '../errors.js';
import { isSameWork } from './dependencies.js';
import type { FileHashes } from './file-hashes.js';
import type { Dependencies } from './manifest.js';
import { dependenciesOf } from './plan.js';
import { RunFolder } from './run-folder.js';
import type { RunStage } from './stage.js';
import type { StageName } from './stage-names.js';

export interface AdoptOptions {
  folder: RunFolder;
  stages: readonly RunStage[];
  /** Folders of runs to take from, the first that fits. */
  donors: readonly string[];
  hashes: FileHashes;
}

/**
 * Puts into `folder`, for each of its stages that is not there, what a donor has of it, where that was done with the
 * same inputs, options, templates, model and version. Files are linked rather than copied, which is safe because no
 * stage changes a file in place.
 *
 * @returns the stages that were taken over
 */
export async function adoptStages({ folder, stages, donors, hashes }: AdoptOptions): Promise<StageName[]> {
  const adopted: StageName[] = [];
  for (const stage of stages) {
    if (folder.manifest(stage.name) !== undefined) continue;
    const dependencies = await knownDependencies(stage, hashes);
    if (dependencies === undefined) continue;
    const donor = donors
      .map((path) => new RunFolder(path))
      .find((run) => {
        const manifest = run.manifest(stage.name);
        return manifest !== undefined && isSameWork(manifest.dependencies, dependencies);
      });
    if (donor === undefined) continue;
    await linkFolder(donor.stage(stage.name), folder.stage(stage.name));
    adopted.push(stage.name);
  }
  return adopted;
}

/** Undefined where an input is not there yet. */
async function knownDependencies(stage: RunStage, hashes: FileHashes): Promise<Dependencies | undefined> {
  try {
    return await dependenciesOf(stage, hashes);
  } catch (error) {
    if (error instanceof PersonaDpoError || (error as NodeJS.ErrnoException).code === 'ENOENT')
      return undefined;
    throw error;
  }
}

/** The same files under another folder, which appears whole. */
async function linkFolder(from: string, to: string): Promise<void> {
  const beside = `${to}.adopting`;
  rmSync(beside, { recursive: true, force: true });
  await linkInto(from, beside);
  rmSync(to, { recursive: true, force: true });
  renameSync(beside, to);
}

async function linkInto(from: string, to: string): Promise<void> {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await linkInto(source, target);
    else await linkFile(source, target);
  }
}

/** A copy where the file system has no links, or the two lie on different ones. */
async function linkFile(source: string, target: string): Promise<void> {
  try {
    linkSync(source, target);
  } catch {
    await copyFile(source, target);
  }
}
