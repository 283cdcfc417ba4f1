/** Sampling options with their defaults, checked once for every kind of model. */
import { ConfigError } from '../errors.js';
import type { ChatSampling } from './chat-model.js';

export type ResolvedSampling = Required<ChatSampling>;

/** @throws ConfigError naming the option, its range and what came */
export function resolveSampling({
  temperature = 0,
  topP = 1,
  topK = 0,
  maxTokens = 1024,
  stop = [],
  seed = 0,
}: ChatSampling = {}): ResolvedSampling {
  check('temperature', temperature, temperature >= 0 && Number.isFinite(temperature), 'a number from 0');
  check('topP', topP, topP > 0 && topP <= 1, 'above 0 and at most 1');
  check('topK', topK, Number.isInteger(topK) && topK >= 0, 'an integer from 0');
  check('maxTokens', maxTokens, Number.isInteger(maxTokens) && maxTokens >= 1, 'an integer from 1');
  check('seed', seed, Number.isSafeInteger(seed) && seed >= 0, 'an integer from 0 to 2^53 - 1');
  if (stop.includes('')) throw new ConfigError('A stop string must not be empty.');
  return { temperature, topP, topK, maxTokens, stop, seed };
}

/** What of the sampling determines the reply: without temperature, neither the cuts nor the seed do. */
export function decisiveSampling(sampling: ChatSampling | undefined): Partial<ResolvedSampling> {
  const { temperature, topP, topK, seed, ...always } = resolveSampling(sampling);
  return temperature === 0 ? { temperature, ...always } : { temperature, topP, topK, seed, ...always };
}

/** @throws ConfigError unless there are labels, all different and none empty */
export function checkLabels(labels: readonly string[]): void {
  if (labels.length === 0) throw new ConfigError('Expected at least one label to score, got none.');
  if (labels.includes('')) throw new ConfigError('A label must not be empty.');
  if (new Set(labels).size < labels.length) {
    throw new ConfigError(`Labels must all be different, got ${JSON.stringify(labels)}.`);
  }
}

function check(name: string, value: number, holds: boolean, expected: string): void {
  if (!holds) throw new ConfigError(`${name} must be ${expected}, got ${value}.`);
}
