/** The local policy as a chat model: requests in batches, what they have in common computed once. */

import { encodePrompt, requireTemplate } from '../data/prompt.js';
import type { Tokenizer } from '../data/tokenizer.js';
import { CheckpointError, ConfigError, DataError, LlmApiError } from '../errors.js';
import { streamText, type TextCompletion } from '../models/generation/generate-text.js';
import { type LabelScore, scoreAllLabels } from '../models/generation/score-labels.js';
import { SharedPrefix } from '../models/generation/shared-prefix.js';
import type { LanguageModel } from '../models/language-model.js';
import type { LoadedModel } from '../models/load-model.js';
import { adapterFingerprint, type FingerprintOptions } from '../models/model-fingerprint.js';
import type {
  ChatModel,
  ChatReply,
  ChatRequest,
  GenerateCallOptions,
  LabelReply,
  LabelRequest,
  Outcome,
} from './chat-model.js';
import { type Numbered, requestWindows } from './requests.js';
import { checkLabels, type ResolvedSampling, resolveSampling } from './sampling.js';
import { tooLong } from './too-long.js';
import { UsageMeter } from './usage-meter.js';

export interface LocalChatModelOptions extends FingerprintOptions {
  /** Most requests computed together; fewer where they are long. More are faster and take more memory. Default 32. */
  batchSize?: number;
}

/** Tokens of all requests computed together: what their caches may take, whatever the number of requests. */
const BATCH_TOKENS = 32_768;

/** Batches of generation that are sorted by length together. */
const BATCHES_A_WINDOW = 8;

/**
 * Asks a loaded model, which stays the caller's: it is disposed by who loaded it, and must not change meanwhile.
 *
 * A prompt is what training would make of the same messages (chat template, its own system prompt where the messages
 * have none, beginning-of-sequence token). Equal prompts are computed once, equal requests with equal seeds answered
 * once, and where prompts begin alike, their beginning is computed once. A reply does not depend on what else is
 * asked, but for the last bits of the numbers.
 *
 * @throws CheckpointError where the model has no tokenizer, ConfigError where it has no chat template
 */
export async function createLocalChatModel(
  loaded: LoadedModel,
  { batchSize = 32, cacheDir = null }: LocalChatModelOptions = {},
): Promise<ChatModel> {
  const { model, tokenizer, origin } = loaded;
  if (!(Number.isInteger(batchSize) && batchSize >= 1)) {
    throw new ConfigError(`batchSize must be an integer from 1, got ${batchSize}.`);
  }
  if (tokenizer === null) {
    throw new CheckpointError(`${origin.id} has no tokenizer, so it cannot be asked in words.`);
  }
  requireTemplate(tokenizer);
  const identity = await identityOf(loaded, tokenizer, cacheDir);
  const asked: Asked = { model, tokenizer, batchSize, meter: new UsageMeter() };
  return {
    identity,
    contextTokens: model.config.maxPositionEmbeddings,
    generate: (requests, options) => generateReplies(asked, requests, options),
    scoreLabels: (requests, options) => scoreRequests(asked, requests, options),
    countTokens: (text) => tokenizer.encode(text).length,
    usage: () => asked.meter.usage(),
    async dispose() {},
  };
}

async function identityOf(
  { model, origin, fingerprint }: LoadedModel,
  tokenizer: Tokenizer,
  cacheDir: string | null,
): Promise<string> {
  const { adapter, dtype, weightDtype } = model;
  return [
    `local ${origin.id}`,
    `weights ${await fingerprint({ cacheDir })}`,
    `adapter ${adapter === null ? 'none' : adapterFingerprint(adapter)}`,
    `dtype ${dtype === weightDtype ? dtype : `${dtype} over ${weightDtype}`}`,
    `tokenizer and template ${tokenizer.fingerprint}`,
  ].join(', ');
}

interface Asked {
  model: LanguageModel;
  tokenizer: Tokenizer;
  batchSize: number;
  meter: UsageMeter;
}

/** A request's prompt, or why it cannot be asked. */
type Prompt = { ids: number[] } | { error: LlmApiError };

function promptOf({ model, tokenizer }: Asked, { id, messages }: ChatRequest | LabelRequest): Prompt {
  let ids: number[];
  try {
    ids = encodePrompt(messages, tokenizer);
  } catch (cause) {
    if (!(cause instanceof DataError)) throw cause;
    const message = `Request ${id} cannot be put into the model's chat template: ${cause.message}`;
    return { error: new LlmApiError(message, { retryable: false, cause }) };
  }
  const limit = model.config.maxPositionEmbeddings;
  return ids.length < limit ? { ids } : { error: tooLong(id, ids.length, limit) };
}

/** One generation and the requests whose reply it is. */
interface Draw {
  ids: number[];
  seed: number;
  asking: Numbered<ChatRequest>[];
}

async function* generateReplies(
  asked: Asked,
  requests: Iterable<ChatRequest> | AsyncIterable<ChatRequest>,
  { signal }: GenerateCallOptions = {},
): AsyncGenerator<Outcome<ChatReply>, void, void> {
  for await (const window of requestWindows(requests, asked.batchSize * BATCHES_A_WINDOW, signal)) {
    const groups = new Map<string, { sampling: ResolvedSampling; draws: Map<string, Draw> }>();
    for (const numbered of window) {
      const sampling = resolveSampling(numbered.request.sampling);
      const prompt = promptOf(asked, numbered.request);
      if ('error' in prompt) {
        yield failed(asked, numbered, prompt.error);
        continue;
      }
      const { seed, ...same } = sampling;
      const key = JSON.stringify(same);
      const group = groups.get(key) ?? { sampling, draws: new Map<string, Draw>() };
      groups.set(key, group);
      addTo(group.draws, prompt.ids, sampling.temperature === 0 ? 0 : seed, numbered);
    }
    for (const { sampling, draws } of groups.values()) {
      yield* answerDraws(asked, [...draws.values()], sampling, signal);
    }
  }
}

function addTo(draws: Map<string, Draw>, ids: number[], seed: number, asking: Numbered<ChatRequest>): void {
  const key = `${seed}:${ids.join()}`;
  const draw = draws.get(key);
  if (draw === undefined) draws.set(key, { ids, seed, asking: [asking] });
  else draw.asking.push(asking);
}

function failed<Request extends { id: string }>(
  { meter }: Asked,
  { index, request }: Numbered<Request>,
  error: LlmApiError,
): { index: number; id: string; error: LlmApiError } {
  meter.count({ requests: 0, failed: 1 });
  return { index, id: request.id, error };
}

async function* answerDraws(
  { model, tokenizer, batchSize, meter }: Asked,
  draws: readonly Draw[],
  { temperature, topP, topK, maxTokens, stop }: ResolvedSampling,
  signal: AbortSignal | undefined,
): AsyncGenerator<Outcome<ChatReply>, void, void> {
  const longest = Math.max(...draws.map(({ ids }) => ids.length));
  const prompts = draws.map(({ ids }) => ids);
  const events = streamText(model, tokenizer, prompts, {
    ...{ temperature, topP, topK, maxNewTokens: maxTokens, stop },
    seed: draws.map(({ seed }) => seed),
    maxBatch: Math.max(1, Math.min(batchSize, Math.floor(BATCH_TOKENS / (longest + maxTokens)))),
    ...(signal === undefined ? {} : { signal }),
  });
  for await (const event of events) {
    if (event.type !== 'end') continue;
    const { ids, asking } = draws[event.completion.prompt]!;
    const reply = replyOf(event.completion, ids.length);
    const { promptTokens, completionTokens } = reply;
    meter.count({ requests: asking.length, promptTokens, completionTokens });
    for (const { index, request } of asking) yield { index, id: request.id, reply: { ...reply } };
  }
}

function replyOf({ text, ids, finishReason }: TextCompletion, promptTokens: number): ChatReply {
  return { text, finishReason, promptTokens, completionTokens: ids.length, cached: false };
}

/** A prompt with its labels, and the requests that ask for just these. */
interface Scoring {
  prompt: number[];
  labels: number[][];
  asking: Numbered<LabelRequest>[];
}

async function* scoreRequests(
  asked: Asked,
  requests: Iterable<LabelRequest> | AsyncIterable<LabelRequest>,
  { signal }: GenerateCallOptions = {},
): AsyncGenerator<Outcome<LabelReply>, void, void> {
  const prefix = new SharedPrefix();
  const encodeLabel = labelEncoder(asked.tokenizer);
  try {
    for await (const window of requestWindows(requests, asked.batchSize, signal)) {
      const scorings = new Map<string, Scoring>();
      for (const numbered of window) {
        checkLabels(numbered.request.labels);
        const labels = numbered.request.labels.map(encodeLabel);
        const prompt = labelPrompt(asked, numbered.request, labels);
        if ('error' in prompt) {
          yield failed(asked, numbered, prompt.error);
          continue;
        }
        const key = JSON.stringify([prompt.ids, labels]);
        const scoring = scorings.get(key);
        if (scoring === undefined) scorings.set(key, { prompt: prompt.ids, labels, asking: [numbered] });
        else scoring.asking.push(numbered);
      }
      for (const batch of byTokens([...scorings.values()])) {
        yield* scoreBatch(asked, batch, prefix, signal);
      }
    }
  } finally {
    prefix.dispose();
  }
}

/** Ids of a label as the beginning of a reply, behind what the template puts before every reply. */
function labelEncoder(tokenizer: Tokenizer): (label: string) => number[] {
  const template = requireTemplate(tokenizer);
  let lead = '';
  try {
    lead = template.answerFrame().lead;
  } catch (error) {
    // A template that cannot show an answer puts nothing before it that could be known.
    if (!(error instanceof DataError)) throw error;
  }
  return (label) => tokenizer.encodeContinuation(lead + label);
}

function labelPrompt(asked: Asked, request: LabelRequest, labels: readonly number[][]): Prompt {
  const prompt = promptOf(asked, request);
  if ('error' in prompt) return prompt;
  const limit = asked.model.config.maxPositionEmbeddings;
  const tokens = prompt.ids.length + Math.max(...labels.map(({ length }) => length)) - 1;
  return tokens < limit ? prompt : { error: tooLong(request.id, tokens, limit) };
}

/** Consecutive scorings that together stay within the tokens of a batch, or are alone. */
function* byTokens(scorings: readonly Scoring[]): Generator<Scoring[], void, void> {
  let batch: Scoring[] = [];
  let longest = 0;
  for (const scoring of scorings) {
    longest = Math.max(longest, scoring.prompt.length);
    if (batch.length > 0 && (batch.length + 1) * longest > BATCH_TOKENS) {
      yield batch;
      batch = [];
      longest = scoring.prompt.length;
    }
    batch.push(scoring);
  }
  if (batch.length > 0) yield batch;
}

async function* scoreBatch(
  { model, meter }: Asked,
  batch: readonly Scoring[],
  prefix: SharedPrefix,
  signal: AbortSignal | undefined,
): AsyncGenerator<Outcome<LabelReply>, void, void> {
  const options = { prefix, ...(signal === undefined ? {} : { signal }) };
  const scores = await scoreAllLabels(model, batch, options);
  for (const [i, { prompt, asking }] of batch.entries()) {
    meter.count({ requests: asking.length, promptTokens: prompt.length });
    for (const { index, request } of asking) {
      yield { index, id: request.id, reply: labelReply(scores[i]!) };
    }
  }
}

function labelReply(scores: readonly LabelScore[]): LabelReply {
  return {
    logprobs: scores.map(({ logprob }) => logprob),
    tokens: scores.map(({ logprobs }) => logprobs.length),
    cached: false,
  };
}
