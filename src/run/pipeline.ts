/** A whole run, from logs to trained weights: planned, done stage by stage, gone on with after a stop. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../data/atomic-write.js';
import type { Counts } from '../data/tally.js';
import { ConfigError, PersonaDpoError } from '../errors.js';
import type { ChatUsage } from '../llm/chat-model.js';
import type { HubOptions } from '../models/hub-options.js';
import { withProcessLock } from '../runtime/install/process-lock.js';
import { makeWritableFolder, outputFiles } from '../train/output-folder.js';
import { adoptStages } from './adopt-stages.js';
import { runConfigToYaml } from './config/config-file.js';
import { type ResolvedRunConfig, type RunConfig, resolveRunConfig } from './config/run-config.js';
import type { RunEvent } from './events.js';
import { FileHashes } from './file-hashes.js';
import { Forgotten } from './forgotten.js';
import { RunModels } from './models.js';
import { checkRange, planStages, type RunPlan, type StageOutlook } from './plan.js';
import { type OpenReward, openOnRuntime, RunRewards } from './rewards.js';
import { RunFolder } from './run-folder.js';
import { runStages } from './run-stages.js';
import type { StageName } from './stage-names.js';
import { buildStages } from './stages/build-stages.js';
import type { InputName, StageSetup } from './stages/setup.js';

export interface RangeOptions {
  /** Stages before it are taken as they are; it is done in any case. Default: none. */
  from?: StageName | undefined;
  /** Stages after it are left out. Default: none. */
  until?: StageName | undefined;
  /**
   * Only so many training conversations, taken user by user, in a folder of their own (`limit-50`), so that a trial
   * leaves the run as it is; replies are shared. Default: all.
   */
  limit?: number | null | undefined;
}

export interface RunHooks {
  onEvent?: (event: RunEvent) => void;
  /** When aborted, the run stops cleanly: what is done stays done. */
  signal?: AbortSignal;
  /** How to reach the Hugging Face Hub. Default: the public endpoint without a token. */
  hub?: HubOptions;
  /** The value of an environment variable that holds a server's key. Default: none is known. */
  secret?: (variable: string) => string | undefined;
  /** Opens the run's reward model. Default: on ONNX Runtime, see `openRewardModel`. */
  openReward?: OpenReward;
  /** Folders of other runs: stages that they did with the very same are taken over. Default: none. */
  donors?: readonly string[];
}

/** One stage of a run that has ended. */
export interface StageSummary extends StageOutlook {
  /** Null where the stage was never done. */
  counts: Counts[] | null;
  usage: ChatUsage | null;
  seconds: number | null;
}

/** How a run ended, and where its results are. */
export interface RunSummary {
  outcome: 'finished' | 'interrupted';
  /** The stage that was interrupted. */
  interrupted: StageName | null;
  folder: string;
  stages: StageSummary[];
  /** The trained adapter or model; null where none was trained. */
  weights: string | null;
  /** Wall-clock seconds of this call. */
  seconds: number;
}

/** One stage by itself, on files of one's own. */
export interface AloneOptions {
  /** Files that stand in for those of earlier stages. */
  given?: Partial<Record<InputName, string>>;
}

/**
 * What a run would do, and why; with what its model will be asked, as far as that can be known from what is there.
 * Nothing is written, and neither logs nor models have to be within reach.
 *
 * @throws ConfigError for a configuration that cannot be used
 */
export async function planPipeline(
  config: RunConfig | ResolvedRunConfig,
  { hub = {}, ...range }: RangeOptions & Pick<RunHooks, 'hub'> = {},
): Promise<RunPlan> {
  const run = setUp(config, range, { hub }, undefined);
  const stages = buildStages(run.setup);
  checkRange({ stages, ...range });
  const { folder } = run.setup;
  return planStages({ folder, stages, ...range, hashes: new FileHashes(folder.file('hashes')) });
}

/**
 * Does a run: what is unchanged since the last time is not done again, what has changed is done anew, and everything
 * that depends on it. Each stage leaves its rows, what it dropped and why, and a manifest in a folder of its own.
 *
 * @throws ConfigError for a configuration that cannot be used; PersonaDpoError (`RUN_LOCKED`) when another process
 *   works in the folder; and what the stages throw: those before the one that failed stay done
 */
export async function runPipeline(
  config: RunConfig | ResolvedRunConfig,
  {
    onEvent = () => undefined,
    signal,
    hub,
    secret,
    openReward,
    donors,
    ...range
  }: RangeOptions & RunHooks = {},
): Promise<RunSummary> {
  return await work(config, range, { onEvent, signal, hub, secret, openReward, donors, alone: undefined });
}

/** {@link runPipeline} for the one stage that the configuration has, on files or on what lies in the folder. */
export async function runAlone(
  config: ResolvedRunConfig,
  { given = {} }: AloneOptions,
  { onEvent = () => undefined, signal, hub, secret, openReward }: RunHooks = {},
): Promise<RunSummary> {
  return await work(config, {}, { onEvent, signal, hub, secret, openReward, alone: given });
}

interface Work extends Required<Pick<RunHooks, 'onEvent'>> {
  signal: AbortSignal | undefined;
  hub: HubOptions | undefined;
  secret: RunHooks['secret'] | undefined;
  openReward: OpenReward | undefined;
  donors?: readonly string[] | undefined;
  /** Given files, of a stage by itself. */
  alone: Partial<Record<InputName, string>> | undefined;
}

async function work(
  config: RunConfig | ResolvedRunConfig,
  range: RangeOptions,
  { onEvent, signal = new AbortController().signal, alone, donors = [], ...surroundings }: Work,
): Promise<RunSummary> {
  const started = performance.now();
  const run = setUp(config, range, surroundings, alone);
  const { setup, main } = run;
  const { folder, models, rewards } = setup;
  const stages = buildStages(setup);
  checkRange({ stages, ...range });
  return await withRunLock(main, async () => {
    main.open();
    folder.open();
    const hashes = new FileHashes(folder.file('hashes'));
    if (alone === undefined) await writeFileAtomic(folder.file('config'), runConfigToYaml(setup.config));
    await adoptStages({ folder, stages, donors, hashes });
    onEvent({ type: 'plan', plan: await planStages({ folder, stages, ...range, hashes }) });
    try {
      const { interrupted, stages: decided } = await runStages({
        folder,
        stages,
        ...range,
        hashes,
        signal,
        onEvent,
      });
      return {
        outcome: interrupted === null ? 'finished' : 'interrupted',
        interrupted,
        folder: folder.path,
        stages: decided.map((outlook) => summaryOf(outlook, folder)),
        weights: weightsIn(folder),
        seconds: (performance.now() - started) / 1000,
      };
    } finally {
      await models.dispose();
      await rewards.dispose();
    }
  });
}

function setUp(
  config: RunConfig | ResolvedRunConfig,
  { limit = null }: RangeOptions,
  { hub = {}, secret = () => undefined, openReward = openOnRuntime }: Partial<Omit<Work, 'alone'>>,
  alone: Partial<Record<InputName, string>> | undefined,
): { main: RunFolder; setup: StageSetup } {
  if (limit !== null && !(Number.isSafeInteger(limit) && limit >= 1)) {
    throw new ConfigError(`limit: expected a whole number from 1, got ${limit}`);
  }
  const resolved = 'sections' in config ? config : resolveRunConfig(config);
  const main = new RunFolder(resolved.outputDir);
  const folder = limit === null ? main : new RunFolder(join(main.path, `limit-${limit}`));
  const models = new RunModels({ models: resolved.models, replies: main.file('replies'), secret, hub });
  const setup: StageSetup = {
    folder,
    config: resolved,
    models,
    rewards: new RunRewards({
      reward: resolved.reward,
      cacheFolder: main.file('replies'),
      openReward,
    }),
    forgotten: Forgotten.read(main.file('forgotten')),
    hub,
    secret,
    limit,
    alone: alone !== undefined,
    given: alone ?? {},
  };
  return { main, setup };
}

/** Runs `action` as the only process that works in the folder. */
export async function withRunLock<T>(folder: RunFolder, action: () => Promise<T>): Promise<T> {
  makeWritableFolder('output_dir', folder.path);
  return withProcessLock(folder.file('lock'), action, {
    refuse: ({ pid, host }) =>
      new PersonaDpoError(
        'RUN_LOCKED',
        `another process works in ${folder.path}: ${pid ?? 'unknown'} on ${host ?? 'an unknown machine'}. Wait until it is done, or end it; \`persona-dpo status ${folder.path}\` shows how far it is`,
        { details: { folder: folder.path, pid, host } },
      ),
  });
}

function summaryOf(outlook: StageOutlook, folder: RunFolder): StageSummary {
  const manifest = folder.manifest(outlook.stage);
  return {
    ...outlook,
    counts: manifest?.counts ?? null,
    usage: manifest?.usage ?? null,
    seconds: manifest?.seconds ?? null,
  };
}

/** Of the last stage that trained. */
function weightsIn(folder: RunFolder): string | null {
  for (const stage of ['online', 'train'] as const) {
    if (folder.manifest(stage) === undefined) continue;
    const paths = [outputFiles.adapter, outputFiles.model].map((name) => join(folder.stage(stage), name));
    const weights = paths.find((path) => existsSync(path));
    if (weights !== undefined) return weights;
  }
  return null;
}
