/** The pair of a group (Equation 2): its answer with the highest reward against that with the lowest. */

import { createRandom } from '../../data/random.js';
import type { ScoredSample } from './rollouts.js';

/** Why a group has no pair: fewer than two different answers with rewards, or all rewards equal. */
export type NoPair = 'too-few-answers' | 'equal-rewards' | 'not-trainable';

export type Choice = { chosen: number; rejected: number } | { reason: NoPair };

export interface ChoiceOptions {
  /** Seed of the order into which rewards are put before the choice, as a control; null leaves them where they are. */
  shuffleSeed: number | null;
}

/**
 * Indices of the best and of the worst sample. Of equal texts the first one stands for all; of equal rewards the first
 * sample is taken.
 */
export function choosePair(samples: readonly ScoredSample[], { shuffleSeed }: ChoiceOptions): Choice {
  const different = differentAnswers(samples);
  if (different.length < 2) return { reason: 'too-few-answers' };
  const own = different.map((index) => (samples[index] as ScoredSample).reward as number);
  const rewards = shuffleSeed === null ? own : createRandom(shuffleSeed).shuffle(own);
  const best = rewards.indexOf(rewards.reduce((most, reward) => Math.max(most, reward)));
  const worst = rewards.indexOf(rewards.reduce((least, reward) => Math.min(least, reward)));
  if (rewards[best] === rewards[worst]) return { reason: 'equal-rewards' };
  return { chosen: different[best] as number, rejected: different[worst] as number };
}

/** Indices of the samples that have a reward, each text once. */
function differentAnswers(samples: readonly ScoredSample[]): number[] {
  const texts = new Set<string>();
  return samples.flatMap(({ text, reward }, index) => {
    if (reward === null || texts.has(text)) return [];
    texts.add(text);
    return [index];
  });
}
