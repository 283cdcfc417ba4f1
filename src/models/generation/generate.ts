/** Generation at the level of token ids: prompts in, sampled tokens out, one by one or all at the end. */

import { createRandom, type Random } from '../../data/random.js';
import { DataError } from '../../errors.js';
import { disposeAll } from '../../runtime/tensor.js';
import type { LanguageModel } from '../language-model.js';
import { DecodeBatch } from './decode-batch.js';
import { decodeWeights, outputWeights } from './decode-weights.js';
import { drawTokens } from './draw-tokens.js';
import { generationFunctions } from './functions.js';
import { type GenerateOptions, type ResolvedOptions, resolveOptions } from './options.js';
import { type GenerationModel, promptCache } from './prompt-cache.js';
import type { Scores } from './scores.js';
import { SharedPrefix } from './shared-prefix.js';
import { stackFactors } from './stacked-factors.js';

export type FinishReason = 'stop' | 'length';

/** Which sample: the prompt's index, and the sample's number among those of its prompt. */
export interface SampleKey {
  prompt: number;
  sample: number;
}

export interface Completion extends SampleKey {
  /** The sampled tokens; where a stop token ended them it is the last. */
  ids: number[];
  /**
   * log p of each token under the model's own distribution: before penalty, temperature and cuts, so that they can be
   * compared with log-probabilities from training and scoring.
   */
  logprobs: number[];
  /** `stop`: a stop token, or the caller's word; `length`: no more tokens allowed, by option or by the model's positions. */
  finishReason: FinishReason;
}

export type TokenEvent = SampleKey & {
  type: 'token';
  id: number;
  logprob: number;
  /** Ends this sample after this token, as a stop token would. To be called before the next event is asked for. */
  stop(): void;
};

export type GenerationEvent = TokenEvent | { type: 'end'; completion: Completion };

interface Sample extends Completion {
  random: Random;
  seen: Set<number>;
  room: number;
  ended: boolean;
}

/** Share of a batch's sequences that have ended before the rest closes up. */
const ENDED_SHARE = 1 / 8;

/** Share of a batch that is free before samples that wait enter. */
const FREE_SHARE = 1 / 4;

/**
 * Samples completions and gives each token as it comes, in rounds of one token a sequence. Ending the iteration
 * early frees everything.
 *
 * @param prompts Token ids, at least one each
 * @throws ConfigError for an option out of range; DataError for a prompt that is empty, too long for the model or
 * with an id outside its vocabulary; the signal's reason when aborted
 */
export async function* generateEvents(
  model: LanguageModel,
  prompts: readonly (readonly number[])[],
  options: GenerateOptions = {},
): AsyncGenerator<GenerationEvent, void, void> {
  const resolved = resolveOptions(options, model.config.eosTokenIds, prompts.length);
  checkPrompts(model, prompts);
  resolved.signal?.throwIfAborted();
  if (prompts.length === 0) return;
  const sequences = Math.min(resolved.maxBatch, prompts.length * resolved.samples);
  const loaded = loadForGeneration(model, resolved.adapter, sequences);
  try {
    yield* decode(loaded, prompts, resolved);
  } finally {
    disposeGeneration(loaded);
  }
}

export interface GenerateAllOptions extends GenerateOptions {
  /** Called with each token as it comes. */
  onToken?: (event: TokenEvent) => void;
}

/** Samples completions: for each prompt, its samples in order. See {@link generateEvents}. */
export async function generate(
  model: LanguageModel,
  prompts: readonly (readonly number[])[],
  { onToken, ...options }: GenerateAllOptions = {},
): Promise<Completion[][]> {
  const completions: Completion[][] = prompts.map(() => []);
  for await (const event of generateEvents(model, prompts, options)) {
    if (event.type === 'token') onToken?.(event);
    else completions[event.completion.prompt]![event.completion.sample] = event.completion;
  }
  return completions;
}

/**
 * What generation needs of a model; the caller disposes it by {@link disposeGeneration}.
 *
 * @param sequences How many will be decoded at a time; for few, nothing but the output layer is copied.
 */
export function loadForGeneration(model: LanguageModel, useAdapter: boolean, sequences = 1): GenerationModel {
  const adapter = useAdapter ? model.adapter : null;
  const { copies, ...precision } = decodeWeights(model, sequences);
  const functions = generationFunctions(model, adapter, precision);
  return {
    ...{ model, functions, copies },
    factors: stackFactors(model, adapter, functions.stackedFactors),
    head32: outputWeights(model),
  };
}

export function disposeGeneration({ head32, factors, copies }: GenerationModel): void {
  disposeAll([head32, factors, copies]);
}

export function checkPrompts({ config }: LanguageModel, prompts: readonly (readonly number[])[]): void {
  prompts.forEach((ids, index) => {
    if (ids.length === 0) {
      throw new DataError(`Prompt ${index} has no tokens; at least one is needed.`, {
        details: { prompt: index },
      });
    }
    if (ids.length >= config.maxPositionEmbeddings) {
      throw new DataError(
        `Prompt ${index} has ${ids.length} tokens; the model has ${config.maxPositionEmbeddings} positions, and one ` +
          'at least is for the answer.',
        { details: { prompt: index } },
      );
    }
    const outside = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= config.vocabSize);
    if (outside !== undefined) {
      throw new DataError(
        `Prompt ${index} holds the token ${outside}, outside the vocabulary of ${config.vocabSize}.`,
      );
    }
  });
}

/** For each prompt the first one with the same tokens: equal prompts that are in the batch together are computed once. */
function firstEquals(prompts: readonly (readonly number[])[]): number[] {
  const firsts = new Map<string, number>();
  return prompts.map((ids, index) => {
    const key = ids.join();
    const first = firsts.get(key) ?? index;
    firsts.set(key, first);
    return first;
  });
}

/**
 * The samples of all prompts, shortest prompts first, so that those in a batch have like lengths, and equal prompts
 * side by side. Samples of one prompt enter the batch together, as many as it holds: the prompt is computed once for
 * them.
 */
function sampleGroups(
  { config }: LanguageModel,
  prompts: readonly (readonly number[])[],
  firsts: readonly number[],
  options: ResolvedOptions,
): Sample[][] {
  const order = prompts
    .map((_, index) => index)
    .sort((a, b) => prompts[a]!.length - prompts[b]!.length || firsts[a]! - firsts[b]! || a - b);
  return order.flatMap((prompt) => {
    const seed = promptSeed(options.seed, prompt);
    const ids = prompts[prompt]!;
    const samples = Array.from(
      { length: options.samples },
      (_, sample): Sample => ({
        ...{ prompt, sample, ids: [], logprobs: [], finishReason: 'length', ended: false },
        random: createRandom(seed, sample),
        seen: options.repetitionPenalty === 1 ? new Set() : new Set(ids),
        room: Math.min(options.maxNewTokens, config.maxPositionEmbeddings - ids.length),
      }),
    );
    const groups = Math.ceil(options.samples / options.maxBatch);
    return Array.from({ length: groups }, (_, i) =>
      samples.slice(i * options.maxBatch, (i + 1) * options.maxBatch),
    );
  });
}

/** Prompts get seeds of their own, so that a sample's stream does not depend on how many samples others have. */
function promptSeed(seed: number | readonly number[], prompt: number): number {
  if (typeof seed !== 'number') return seed[prompt]!;
  const random = createRandom(seed, prompt);
  return random.uint32() * 2 ** 21 + (random.uint32() >>> 11);
}

async function* decode(
  loaded: GenerationModel,
  prompts: readonly (readonly number[])[],
  options: ResolvedOptions,
): AsyncGenerator<GenerationEvent, void, void> {
  const { signal, maxBatch } = options;
  const firsts = firstEquals(prompts);
  const waiting = sampleGroups(loaded.model, prompts, firsts, options);
  const batch = new DecodeBatch(loaded);
  const prefix = new SharedPrefix();
  let active: Sample[] = [];
  let scores: Scores | undefined;
  try {
    for (;;) {
      const entering = takeGroups(waiting, active.length, maxBatch);
      if (entering.length > 0) {
        const indices = [...new Set(entering.map(({ prompt }) => firsts[prompt]!))];
        const rows = entering.map(({ prompt }) => indices.indexOf(firsts[prompt]!));
        const texts = indices.map((index) => prompts[index]!);
        scores = await batch.add(await promptCache(loaded, texts, signal, undefined, prefix), rows);
        active = [...active, ...entering];
        yield* takeTokens(entering, rows, scores, options);
      } else {
        scores = await batch.step(Int32Array.from(active, ({ ids }) => ids.at(-1)!));
        const rows = active.map((_, index) => index);
        signal?.throwIfAborted();
        yield* takeTokens(active, rows, scores, options);
      }
      scores.dispose();
      signal?.throwIfAborted();

      const alive = active.flatMap(({ ended }, index) => (ended ? [] : [index]));
      if (alive.length === 0 || active.length - alive.length >= active.length * ENDED_SHARE) {
        if (alive.length < active.length) batch.keepSequences(alive);
        active = alive.map((index) => active[index]!);
      }
      if (active.length === 0 && waiting.length === 0) return;
    }
  } finally {
    scores?.dispose();
    batch.dispose();
    prefix.dispose();
  }
}

/**
 * The groups that enter the batch now: as many as fit, and none before a good share of the batch is free, since
 * prompts are computed best several at a time.
 */
function takeGroups(waiting: Sample[][], active: number, maxBatch: number): Sample[] {
  const entering: Sample[] = [];
  let free = maxBatch - active;
  if (active > 0 && free < maxBatch * FREE_SHARE) return entering;
  while (waiting.length > 0 && waiting[0]!.length <= free) {
    const group = waiting.shift()!;
    entering.push(...group);
    free -= group.length;
  }
  return entering;
}

/** One token for each sample that has not ended. */
async function* takeTokens(
  samples: readonly Sample[],
  rows: readonly number[],
  scores: Scores,
  options: ResolvedOptions,
): AsyncGenerator<GenerationEvent, void, void> {
  const open = samples.flatMap((sample, index) =>
    sample.ended
      ? []
      : [{ sample, row: rows[index]!, sampling: options, random: sample.random, seen: sample.seen }],
  );
  const drawn = await drawTokens(scores, open);
  for (const [index, { sample }] of open.entries()) {
    const { id, logprob } = drawn[index]!;
    yield* addToken(sample, id, logprob, options);
  }
}

function* addToken(
  sample: Sample,
  id: number,
  logprob: number,
  { stopTokenIds, repetitionPenalty }: ResolvedOptions,
): Generator<GenerationEvent, void, void> {
  sample.ids.push(id);
  sample.logprobs.push(logprob);
  if (repetitionPenalty !== 1) sample.seen.add(id);
  const { prompt, sample: number } = sample;
  let stopped = stopTokenIds.has(id);
  const stop = () => {
    stopped = true;
  };
  yield { type: 'token', prompt, sample: number, id, logprob, stop };
  if (!stopped && sample.ids.length < sample.room) return;
  sample.ended = true;
  sample.finishReason = stopped ? 'stop' : 'length';
  const { ids, logprobs, finishReason } = sample;
  yield { type: 'end', completion: { prompt, sample: number, ids, logprobs, finishReason } };
}
