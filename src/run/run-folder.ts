/**
 * Where a run keeps what: a folder for each stage, replaced as a whole when the stage is done anew, so that whatever
 * moment a process ends at, a stage is there with all its files and its manifest, or not at all.
 */

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../errors.js';
import { makeWritableFolder } from '../train/output-folder.js';
import { MANIFEST_FILE, type Manifest, readManifest } from './manifest.js';
import { STAGE_NAMES, type StageName } from './stage-names.js';

/** Names in a run's folder, beside those of the stages. */
export const runFiles = {
  config: 'config.yaml',
  lock: 'run.lock',
  hashes: 'hashes.json',
  progress: 'progress.json',
  replies: 'replies',
  forgotten: 'forgotten.json',
  earlier: 'earlier',
} as const;

/** Names in every stage's folder. */
export const DROPPED_FILE = 'dropped.jsonl';

const LIMITED = /^limit-\d+$/;

export class RunFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  file(name: keyof typeof runFiles): string {
    return join(this.path, runFiles[name]);
  }

  stage(name: StageName): string {
    return join(this.path, name);
  }

  manifest(name: StageName): Manifest | undefined {
    return readManifest(join(this.stage(name), MANIFEST_FILE));
  }

  /** Folders of runs on the first conversations only, which share this one's replies. */
  limited(): RunFolder[] {
    if (!existsSync(this.path)) return [];
    return readdirSync(this.path)
      .filter((name) => LIMITED.test(name))
      .map((name) => new RunFolder(join(this.path, name)));
  }

  /** Makes the folder, and puts right what a process that was killed has left. Call it with the lock held. */
  open(): void {
    makeWritableFolder('output_dir', this.path);
    for (const name of STAGE_NAMES) this.#recover(name);
  }

  /** An empty folder for a stage to write into. */
  begin(name: StageName): string {
    const next = this.#next(name);
    rmSync(next, { recursive: true, force: true });
    mkdirSync(next, { recursive: true });
    return next;
  }

  /** Puts what `begin`'s folder holds in the stage's place. Its manifest must be there. */
  commit(name: StageName): void {
    const [current, previous] = [this.stage(name), this.#previous(name)];
    rmSync(previous, { recursive: true, force: true });
    if (existsSync(current)) renameSync(current, previous);
    renameSync(this.#next(name), current);
    rmSync(previous, { recursive: true, force: true });
  }

  /** Takes away what `begin` made. */
  abandon(name: StageName): void {
    rmSync(this.#next(name), { recursive: true, force: true });
  }

  /** Moves a stage's folder out of the way, to be kept. Returns where to. */
  putAside(name: StageName): string {
    const parent = this.file('earlier');
    mkdirSync(parent, { recursive: true });
    for (let number = 1; ; number++) {
      const target = join(parent, `${name}-${number}`);
      if (existsSync(target)) continue;
      renameSync(this.stage(name), target);
      return target;
    }
  }

  #recover(name: StageName): void {
    const [current, next, previous] = [this.stage(name), this.#next(name), this.#previous(name)];
    if (existsSync(join(next, MANIFEST_FILE))) this.commit(name);
    if (!existsSync(current) && existsSync(previous)) renameSync(previous, current);
    rmSync(next, { recursive: true, force: true });
    rmSync(previous, { recursive: true, force: true });
  }

  #next(name: StageName): string {
    return join(this.path, `.${name}.next`);
  }

  #previous(name: StageName): string {
    return join(this.path, `.${name}.previous`);
  }
}

/**
 * The folder of a run that has begun.
 *
 * @throws ConfigError when there is none at `path`
 */
export function existingRun(path: string): RunFolder {
  const run = new RunFolder(path);
  const begun =
    existsSync(run.file('config')) ||
    run.limited().length > 0 ||
    STAGE_NAMES.some((name) => existsSync(join(path, name, MANIFEST_FILE)));
  if (begun) return run;
  throw new ConfigError(
    `${path} is not the folder of a run: expected ${runFiles.config} or a stage's folder in it; ` +
      '`persona-dpo run` makes one',
  );
}
