/** The reward model of a run: opened when the first stage asks for rewards, shared by all. */

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../errors.js';
import type { ChatUsage } from '../llm/chat-model.js';
import type { RewardModel, RewardUsage } from '../rewards/reward-model.js';
import type { RewardModelOptions } from '../rewards/reward-options.js';
import { installHome } from '../runtime/install/location.js';

/** Opens a reward model that keeps its rewards in a folder; whoever asked for it disposes it. */
export type OpenReward = (options: RewardModelOptions, cacheFolder: string) => Promise<RewardModel>;

/** On ONNX Runtime, which is loaded only when rewards are asked for. */
export const openOnRuntime: OpenReward = async (options, cacheFolder) => {
  const { openRewardModel, rewardCachePath } = await import('../rewards/open-reward-model.js');
  return openRewardModel(options, {
    cache: rewardCachePath(cacheFolder),
    hashCacheDir: join(installHome(), 'reference-logps'),
  });
};

export interface RunRewardsOptions {
  /** Null where the run has none. */
  reward: RewardModelOptions | null;
  /** Folder of the kept rewards. */
  cacheFolder: string;
  openReward: OpenReward;
}

export class RunRewards {
  readonly #options: RewardModelOptions | null;
  readonly #opening: Pick<RunRewardsOptions, 'cacheFolder' | 'openReward'>;
  #model: RewardModel | undefined;

  constructor({ reward, ...opening }: RunRewardsOptions) {
    this.#options = reward;
    this.#opening = opening;
  }

  get isConfigured(): boolean {
    return this.#options !== null;
  }

  /** What is known of it without opening it, as one line: when it changes, rewards are asked for anew. */
  describe(): string | null {
    return this.#options === null ? null : `reward ${this.#options.model}${filesOf(this.#options.model)}`;
  }

  /** Sources of the templates that rewards depend on. */
  templates(): Record<string, string> {
    const path = this.#options?.personaTemplate ?? null;
    return path === null ? {} : { reward_persona: readTemplate(path) };
  }

  /**
   * Stays open for later stages until `dispose`.
   *
   * @throws ConfigError where the run has none, and what opening throws
   */
  async open(): Promise<RewardModel> {
    if (this.#options === null)
      throw new ConfigError('reward is required: expected the reward model of the run');
    const { openReward, cacheFolder } = this.#opening;
    this.#model ??= await openReward(this.#options, cacheFolder);
    return this.#model;
  }

  /** Lets go of it; a later `open` opens it anew. */
  async dispose(): Promise<void> {
    const model = this.#model;
    this.#model = undefined;
    await model?.dispose();
  }
}

/** Marks the files on disk, so that another model under the same name is told from it. */
function filesOf(folder: string): string {
  try {
    const facts = readdirSync(folder)
      .sort()
      .map((name) => ({ name, state: statSync(join(folder, name), { bigint: true }) }))
      .filter(({ state }) => state.isFile())
      .map(({ name, state }) => `${name} ${state.size} ${state.mtimeNs}`);
    return ` (${createHash('sha256').update(facts.join()).digest('hex').slice(0, 12)})`;
  } catch {
    return ''; // What is wrong with it is said when it is opened.
  }
}

function readTemplate(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ConfigError(`reward: persona_template ${path} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** What a reward model was asked between two readings, in the words of language models: nothing comes back but numbers. */
export function rewardUsage(after: RewardUsage, before: RewardUsage): ChatUsage {
  return {
    requests: after.requests - before.requests,
    cached: after.cached - before.cached,
    failed: 0,
    promptTokens: after.tokens - before.tokens,
    completionTokens: 0,
    cost: null,
  };
}
