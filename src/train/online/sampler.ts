/** Who writes the samples of an online run; here the policy itself, with the weights that it has now. */

import type { TokenizedPair } from '../../data/tokenize.js';
import type { Tokenizer } from '../../data/tokenizer.js';
import { streamText } from '../../models/generation/generate-text.js';
import type { LanguageModel } from '../../models/language-model.js';
import type { ResolvedOnlineTrainOptions } from './options.js';
import type { OnlinePrompt } from './prompts.js';

/** One answer. */
export interface Sample {
  text: string;
  /** The answer in the policy's tokens; its end of turn is among them where it came to an end. */
  ids: number[];
  finishReason: 'stop' | 'length';
}

/** All answers to one prompt. */
export interface AnsweredPrompt {
  /** Index of the prompt. */
  index: number;
  answers: Sample[];
}

export interface SampleRequest {
  /** Answers to each prompt. */
  samples: number;
  /** One for each prompt. */
  seeds: readonly number[];
  signal: AbortSignal;
}

/** Two answers as a pair to train on, or why they are none. */
export type MadePair = { pair: TokenizedPair } | { reason: string };

export interface Sampler {
  /**
   * Makes ready for samples of the policy as it is after `step` steps.
   *
   * @param fresh Whether the newest weights are needed, however long ago the last ones were handed over
   * @returns after how many steps the weights are that will be sampled from
   */
  prepare(step: number, fresh: boolean): Promise<number>;
  /** Answers prompts; each is given as soon as all of its answers are there. */
  sample(prompts: readonly OnlinePrompt[], request: SampleRequest): AsyncIterable<AnsweredPrompt>;
  pairOf(prompt: OnlinePrompt, chosen: Sample, rejected: Sample): MadePair;
  /** Takes away what was put elsewhere for the run. */
  close(): Promise<void>;
}

type SamplingOptions = Pick<
  ResolvedOnlineTrainOptions,
  'temperature' | 'topP' | 'topK' | 'maxNewTokens' | 'generationBatchSize'
>;

/** Samples from the policy in memory: always its newest weights, and the pair is of exactly the tokens that it drew. */
export function localSampler(
  model: LanguageModel,
  tokenizer: Tokenizer,
  { temperature, topP, topK, maxNewTokens, generationBatchSize }: SamplingOptions,
): Sampler {
  return {
    prepare: async (step) => step,
    async *sample(prompts, { samples, seeds, signal }) {
      const answers: Sample[][] = prompts.map(() => []);
      const missing = prompts.map(() => samples);
      const ids = prompts.map(({ promptIds }) => promptIds);
      const events = streamText(model, tokenizer, ids, {
        ...{ samples, seed: seeds, signal, temperature, topP, topK, maxNewTokens },
        maxBatch: generationBatchSize,
      });
      for await (const event of events) {
        if (event.type !== 'end') continue;
        const { prompt, sample, text, finishReason, ids: drawn } = event.completion;
        const all = answers[prompt] as Sample[];
        all[sample] = { text, ids: drawn, finishReason };
        missing[prompt]!--;
        if (missing[prompt] === 0) yield { index: prompt, answers: all };
      }
    },
    pairOf: ({ id, user, promptIds }, chosen, rejected) => ({
      pair: {
        ...{ id, promptIds, chosenIds: chosen.ids, rejectedIds: rejected.ids },
        ...(user !== undefined && { user }),
      },
    }),
    close: async () => {},
  };
}
