/** What can be asked of generation, checked once and with defaults filled in. */

import { ConfigError } from '../../errors.js';

/** How the next token is chosen; names and order of the steps are those of transformers' generate(). */
export interface SamplingOptions {
  /** Logits are divided by it; 0 takes the likeliest token always. 0, or from 1e-6. Default 0. */
  temperature?: number;
  /** Only the `topK` likeliest tokens (and those tied with the last of them); 0 for all. Default 0. */
  topK?: number;
  /**
   * Only the smallest set of likeliest tokens whose probability reaches `topP` (and those tied with the last of them);
   * in (0, 1]. Default 1, all.
   */
  topP?: number;
  /** Only tokens at least `minP` times as probable as the likeliest; from 0 to 1. Default 0, all. */
  minP?: number;
  /**
   * Logits of tokens already in the prompt or the answer are divided by it where positive and multiplied where
   * negative (Keskar et al. 2019). Above 0. Default 1, none.
   */
  repetitionPenalty?: number;
}

/** How tokens are drawn, and when to stop. */
export interface GenerateOptions extends SamplingOptions {
  /** At most so many tokens a sample, the stop token included; fewer where the model's positions end. Default 256. */
  maxNewTokens?: number;
  /** Tokens that end a sample. Default: the model's `eosTokenIds`. */
  stopTokenIds?: readonly number[];
  /** Samples of each prompt; they share its cache. Default 1. */
  samples?: number;
  /**
   * A number for all prompts, or one for each. A sample's random numbers depend on its prompt's seed and its own
   * number alone: with a seed for each prompt, what else is in the batch changes nothing. Default 0.
   */
  seed?: number | readonly number[];
  /** Whether the model's adapter acts, if it has one. Default true. */
  adapter?: boolean;
  /** Sequences decoded at a time; more wait. Default 64. */
  maxBatch?: number;
  /** Ends generation between two tokens; what was asked for then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Below it nothing but the likeliest token is ever drawn, and float32 comes to its end. */
const COLDEST = 1e-6;

export type Sampling = Required<SamplingOptions>;

export interface ResolvedOptions extends Sampling {
  maxNewTokens: number;
  stopTokenIds: ReadonlySet<number>;
  samples: number;
  seed: number | readonly number[];
  adapter: boolean;
  maxBatch: number;
  signal: AbortSignal | undefined;
}

/** @throws ConfigError naming the option, its range and what came */
export function resolveOptions(
  {
    temperature = 0,
    topK = 0,
    topP = 1,
    minP = 0,
    repetitionPenalty = 1,
    maxNewTokens = 256,
    stopTokenIds,
    samples = 1,
    seed = 0,
    adapter = true,
    maxBatch = 64,
    signal,
  }: GenerateOptions,
  eosTokenIds: readonly number[],
  prompts: number,
): ResolvedOptions {
  const warm = temperature >= COLDEST && Number.isFinite(temperature);
  check('temperature', temperature, temperature === 0 || warm, `0, or a number from ${COLDEST}`);
  check('topK', topK, Number.isInteger(topK) && topK >= 0, 'an integer from 0');
  check('topP', topP, topP > 0 && topP <= 1, 'above 0 and at most 1');
  check('minP', minP, minP >= 0 && minP <= 1, 'from 0 to 1');
  check(
    'repetitionPenalty',
    repetitionPenalty,
    repetitionPenalty > 0 && Number.isFinite(repetitionPenalty),
    'a number above 0',
  );
  check(
    'maxNewTokens',
    maxNewTokens,
    Number.isInteger(maxNewTokens) && maxNewTokens >= 1,
    'an integer from 1',
  );
  check('samples', samples, Number.isInteger(samples) && samples >= 1, 'an integer from 1');
  check('maxBatch', maxBatch, Number.isInteger(maxBatch) && maxBatch >= 1, 'an integer from 1');
  if (typeof seed !== 'number' && seed.length !== prompts) {
    throw new ConfigError(
      `seed is one number, or one for each of the ${prompts} prompts; got ${seed.length}.`,
    );
  }
  for (const value of typeof seed === 'number' ? [seed] : seed) {
    check('seed', value, Number.isSafeInteger(value) && value >= 0, 'an integer from 0 to 2^53 - 1');
  }
  const stops = new Set(stopTokenIds ?? eosTokenIds);
  return {
    ...{ temperature, topK, topP, minP, repetitionPenalty, maxNewTokens, samples, seed, adapter, maxBatch },
    stopTokenIds: stops,
    signal,
  };
}

function check(name: string, value: number, holds: boolean, expected: string): void {
  if (!holds) throw new ConfigError(`${name} must be ${expected}, got ${value}.`);
}
