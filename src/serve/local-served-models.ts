/** A loaded model, and adapters on it, as the server's models. */

import { encodePrompt, requireTemplate } from '../data/prompt.js';
import type { Tokenizer } from '../data/tokenizer.js';
import { CheckpointError, ConfigError, DataError, LlmApiError } from '../errors.js';
import { loadAdapter } from '../models/adapter-files.js';
import { disposeGeneration, loadForGeneration } from '../models/generation/generate.js';
import type { GenerationModel } from '../models/generation/prompt-cache.js';
import type { LoadedModel } from '../models/load-model.js';
import { disposeAll, shareTensor, type Tensor } from '../runtime/tensor.js';
import { type BatchLimits, ContinuousBatch } from './continuous-batch.js';
import type { AnswerEvent, AnswerRequest, ServedModel } from './served-model.js';

export interface LocalServedOptions extends Partial<BatchLimits> {
  /** What requests call the model; with its adapter on, where it was loaded with one. Default: its id. */
  name?: string;
  /** Further PEFT folders on the same weights, by the name that requests ask for. Default: none. */
  adapters?: Readonly<Record<string, string>>;
}

/** The models of one set of weights. */
export interface LocalServedModels {
  /** The model itself first, then the adapters in their order. */
  readonly models: readonly ServedModel[];
  /** Ends what is being answered with `reason`, and frees all but what was loaded. */
  close(reason?: unknown): Promise<void>;
}

/** No token of any tokenizer has so many characters on average: a longer text is too long before it is counted. */
const MOST_CHARACTERS_A_TOKEN = 128;

/**
 * Serves a loaded model, which stays the caller's: it must not change meanwhile, and is disposed after `close`. Adapters
 * share its weights; each has a batch of its own, and the batches take turns.
 *
 * @throws CheckpointError where the model has no tokenizer or an adapter does not fit; ConfigError without a chat
 *   template, for limits out of range and for two models of one name
 */
export function localServedModels(
  loaded: LoadedModel,
  { name = loaded.origin.id, adapters = {}, maxBatch = 16, batchTokens = 32_768 }: LocalServedOptions = {},
): LocalServedModels {
  const { tokenizer, origin } = loaded;
  if (tokenizer === null) {
    throw new CheckpointError(`${origin.id} has no tokenizer, so it cannot be asked in words.`);
  }
  requireTemplate(tokenizer);
  for (const [option, value] of Object.entries({ maxBatch, batchTokens })) {
    if (!(Number.isInteger(value) && value >= 1)) {
      throw new ConfigError(`${option} must be an integer from 1, got ${value}.`);
    }
  }
  if (name in adapters) throw new ConfigError(`Two models have the name ${name}; give one of them another.`);
  const variants = openVariants(loaded, name, adapters, maxBatch);
  const batches = variants.map(
    ({ generation }) => new ContinuousBatch(generation, tokenizer, { maxBatch, batchTokens }),
  );
  return {
    models: variants.map((variant, i) => served(variant, batches[i]!, tokenizer, maxBatch)),
    async close(reason = new Error('the server has ended')) {
      await Promise.all(batches.map((batch) => batch.close(reason)));
      for (const { generation } of variants) disposeGeneration(generation);
    },
  };
}

interface Variant {
  name: string;
  generation: GenerationModel;
}

/** The model as it is, and the same weights with each of the adapters. */
function openVariants(
  { model }: LoadedModel,
  name: string,
  adapters: Readonly<Record<string, string>>,
  maxBatch: number,
): Variant[] {
  const own = loadForGeneration(model, true, maxBatch);
  const variants: Variant[] = [{ name, generation: own }];
  const attached = model.detach();
  try {
    for (const [adapterName, folder] of Object.entries(adapters)) {
      const adapter = loadAdapter(folder, model.config);
      model.attach(adapter);
      const { head32, copies, ...generation } = loadForGeneration(model, true, maxBatch);
      // What is copied of the weights once is enough for all.
      disposeAll([head32, copies]);
      variants.push({ name: adapterName, generation: { ...generation, ...sharedCopies(own) } });
      model.detach()?.dispose();
    }
    return variants;
  } catch (error) {
    for (const { generation } of variants) disposeGeneration(generation);
    throw error;
  } finally {
    if (model.adapter !== null) model.detach()?.dispose();
    if (attached !== null) model.attach(attached);
  }
}

function sharedCopies({ head32, copies }: GenerationModel): Pick<GenerationModel, 'head32' | 'copies'> {
  const shared = (tensors: Readonly<Record<string, Tensor>>) =>
    Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, shareTensor(tensor)]));
  return { head32: shareTensor(head32), copies: copies.map(shared) };
}

function served(
  { name, generation }: Variant,
  batch: ContinuousBatch,
  tokenizer: Tokenizer,
  maxBatch: number,
): ServedModel {
  const contextTokens = generation.model.config.maxPositionEmbeddings;
  return {
    ...{ name, contextTokens, maxBatch },
    countTokens: (text) => tokenizer.encode(text).length,
    async *answer(request: AnswerRequest, signal: AbortSignal): AsyncGenerator<AnswerEvent, void, void> {
      const ids = promptIds(request, tokenizer, contextTokens);
      yield { type: 'start' };
      const { samples, sampling } = request;
      yield* batch.answer({ ids, samples, sampling }, signal);
    },
  };
}

function promptIds({ messages }: AnswerRequest, tokenizer: Tokenizer, limit: number): number[] {
  const characters = messages.reduce((sum, { content }) => sum + content.length, 0);
  if (characters > limit * MOST_CHARACTERS_A_TOKEN) {
    throw tooLong(`more than ${limit}`, limit);
  }
  let ids: number[];
  try {
    ids = encodePrompt(messages, tokenizer);
  } catch (cause) {
    if (!(cause instanceof DataError)) throw cause;
    const message = `The messages cannot be put into the model's chat template: ${cause.message}`;
    throw new LlmApiError(message, { retryable: false, status: 400, cause });
  }
  if (ids.length >= limit) throw tooLong(`${ids.length}`, limit);
  return ids;
}

function tooLong(tokens: string, limit: number): LlmApiError {
  return new LlmApiError(
    `The messages have ${tokens} tokens in the model's chat template; prompt and answer together may have ${limit}.`,
    { retryable: false, status: 400, details: { limit } },
  );
}
