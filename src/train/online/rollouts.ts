/** Groups of samples with their rewards: written by a sampler, scored while the next ones are being written. */

import { PersonaDpoError } from '../../errors.js';
import type { RewardScorer } from '../../rewards/reward-model.js';
import type { OnlinePrompt } from './prompts.js';
import type { AnsweredPrompt, Sample, Sampler } from './sampler.js';

/** A sample and its reward; null where it can't be scored because it holds no words. */
export interface ScoredSample extends Sample {
  reward: number | null;
}

/** All samples of one prompt. */
export interface Group {
  prompt: OnlinePrompt;
  samples: ScoredSample[];
}

export interface RolloutRequest {
  prompts: readonly OnlinePrompt[];
  /** Samples of each prompt. */
  samples: number;
  /** One for each prompt. */
  seeds: readonly number[];
  /** Groups that are scored together, so that the reward model has full batches. */
  groupsAtOnce: number;
  signal: AbortSignal;
  /** Told after each group that is written, and after each that is scored. */
  onProgress?: (written: number, scored: number) => void;
}

export interface RewardSettings {
  scorer: RewardScorer;
  /** Whether the scorer sees the persona. */
  userBased: boolean;
  /** Taken off the reward of a sample that was cut at the limit of tokens; null for nothing. */
  missingEosPenalty: number | null;
}

/**
 * Samples answers to prompts and scores them; given in the order of the prompts. Groups are scored as soon as so many
 * are whole, while the sampler goes on with the others. One such lot is scored after another: what a scorer puts into a
 * batch, and with it the last bits of rewards, does not depend on time.
 *
 * @throws what sampler and scorer throw; PersonaDpoError (`SCORES`) where rewards are missing or no numbers
 */
export async function sampleAndScore(
  sampler: Sampler,
  rewards: RewardSettings,
  { prompts, samples, seeds, groupsAtOnce, signal, onProgress = () => {} }: RolloutRequest,
): Promise<Group[]> {
  const groups: Group[] = [];
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  let written = 0;
  let scored = 0;
  let scoring = Promise.resolve();
  let lot: AnsweredPrompt[] = [];
  const score = async ({ index, answers }: AnsweredPrompt) => {
    const prompt = prompts[index] as OnlinePrompt;
    groups[index] = { prompt, samples: await scoreSamples(prompt, answers, rewards, either) };
    onProgress(written, ++scored);
  };
  const scoreLot = () => {
    const whole = lot;
    lot = [];
    scoring = scoring.then(() => allOf(whole.map(score)));
    // What goes wrong ends the sampling; it is thrown below.
    scoring.catch((error: unknown) => failed.abort(error));
  };
  try {
    for await (const answered of sampler.sample(prompts, { samples, seeds, signal: either })) {
      onProgress(++written, scored);
      lot.push(answered);
      if (lot.length >= groupsAtOnce) scoreLot();
    }
    scoreLot();
    await scoring;
    return groups;
  } catch (error) {
    failed.abort(error);
    await scoring.catch(() => undefined);
    signal.throwIfAborted();
    // The first failure: that of the sampler may only be the end that a failing scorer put to it.
    throw failed.signal.reason;
  }
}

/** Waits for all, however one of them ends: nobody may use what the caller frees after a failure. */
async function allOf(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason;
}

/** The samples with their rewards. Equal texts are scored once, those without words not at all. */
async function scoreSamples(
  prompt: OnlinePrompt,
  samples: readonly Sample[],
  { scorer, userBased, missingEosPenalty }: RewardSettings,
  signal: AbortSignal,
): Promise<ScoredSample[]> {
  const texts = [...new Set(samples.map(({ text }) => text).filter((text) => text.trim() !== ''))];
  const { messages, persona } = prompt;
  const request = {
    prompt: messages,
    ...(userBased && persona !== undefined && { persona }),
    candidates: texts,
  };
  const rewards = texts.length === 0 ? [] : await scorer.score(request, { signal });
  checkRewards(prompt, texts, rewards);
  const rewardOf = new Map(texts.map((text, i) => [text, rewards[i] as number]));
  return samples.map((sample) => {
    const reward = rewardOf.get(sample.text);
    if (reward === undefined) return { ...sample, reward: null };
    const cut = sample.finishReason === 'length';
    return { ...sample, reward: cut ? reward - (missingEosPenalty ?? 0) : reward };
  });
}

function checkRewards({ id }: OnlinePrompt, texts: readonly string[], rewards: readonly number[]): void {
  if (rewards.length !== texts.length) {
    throw new PersonaDpoError(
      'SCORES',
      `the reward model gave ${rewards.length} rewards for ${texts.length} answers to prompt ${id}`,
      { details: { prompt: id } },
    );
  }
  const bad = rewards.findIndex((reward) => !Number.isFinite(reward));
  if (bad === -1) return;
  throw new PersonaDpoError(
    'SCORES',
    `the reward model gave ${rewards[bad]} for an answer to prompt ${id}, which is no reward: ${JSON.stringify(shortened(texts[bad] as string))}`,
    { details: { prompt: id, reward: String(rewards[bad]) } },
  );
}

function shortened(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}
