/** Samples from a vLLM server that gets the policy's adapter every few steps. */

import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createRandom } from '../../data/random.js';
import { tokenizePair } from '../../data/tokenize.js';
import { endOfTurnTokenId, type Tokenizer } from '../../data/tokenizer.js';
import { LlmApiError } from '../../errors.js';
import type { ChatModel, ChatReply, ChatRequest } from '../../llm/chat-model.js';
import { resolveChatModelOptions } from '../../llm/chat-model-options.js';
import type { ServerChatModelOptions } from '../../llm/server/options.js';
import { createServerChatModel } from '../../llm/server/server-chat-model.js';
import type { LoadedModel } from '../../models/load-model.js';
import { savePolicy } from '../policy.js';
import type { OnlineTrainEvent } from './events.js';
import type { ResolvedOnlineTrainOptions } from './options.js';
import type { OnlinePrompt } from './prompts.js';
import type { AnsweredPrompt, MadePair, Sample, SampleRequest, Sampler } from './sampler.js';
import { AdapterServer } from './vllm-adapters.js';

/** Folder in the run's own in which adapters wait for the server. */
const ADAPTERS_FOLDER = 'vllm';

export interface VllmSamplerInputs {
  options: ResolvedOnlineTrainOptions;
  /** `vllmServerBaseUrl`, which is given. */
  baseUrl: string;
  policy: LoadedModel;
  tokenizer: Tokenizer;
  /** Of the server, where it wants one. */
  apiKey: string | undefined;
  onEvent: (event: OnlineTrainEvent) => void;
  signal: AbortSignal;
}

/**
 * Each sample is a chat completion with a seed of its own, of the model that the server calls by the adapter's name. The
 * server puts messages into its own chat template, which must be the policy's: what it answers is put into the policy's
 * tokens here.
 */
export class VllmSampler implements Sampler {
  readonly #in: VllmSamplerInputs;
  readonly #server: ServerChatModelOptions;
  readonly #adapters: AdapterServer;
  /** The model under the name that the adapter has now, and after how many steps it is. */
  #current: { model: ChatModel; step: number } | null = null;

  /** @throws ConfigError for an address that is none */
  constructor(inputs: VllmSamplerInputs) {
    const { options, apiKey, signal, onEvent } = inputs;
    this.#in = inputs;
    this.#server = serverOptions(inputs);
    this.#adapters = new AdapterServer({
      ...{ server: this.#server, apiKey, signal, loadInplace: options.vllmLoadInplace },
      onNotice: (message) => onEvent({ type: 'notice', message }),
    });
  }

  async prepare(step: number, fresh: boolean): Promise<number> {
    const current = this.#current;
    const age = current === null ? Number.POSITIVE_INFINITY : step - current.step;
    if (current !== null && age < (fresh ? 1 : this.#in.options.vllmSyncSteps)) return current.step;
    await this.#handOver(step);
    return step;
  }

  async *sample(
    prompts: readonly OnlinePrompt[],
    { samples, seeds, signal }: SampleRequest,
  ): AsyncGenerator<AnsweredPrompt, void, void> {
    const answers = prompts.map((): Sample[] => []);
    const missing = prompts.map(() => samples);
    const failures: LlmApiError[] = [];
    const model = (this.#current as { model: ChatModel }).model;
    const requests = this.#requests(prompts, samples, seeds);
    for await (const { index, id, reply, error } of model.generate(requests, { signal })) {
      const prompt = Math.floor(index / samples);
      if (error !== undefined) failures.push(error);
      else if (reply.finishReason === 'filtered') failures.push(withheld(id));
      else answers[prompt]![index % samples] = this.#sampleOf(reply);
      missing[prompt]!--;
      // Without the holes that failed requests leave.
      if (missing[prompt] === 0) yield { index: prompt, answers: answers[prompt]!.filter(() => true) };
    }
    this.#tell(failures, prompts.length * samples);
  }

  /** The answers in the policy's tokens; one that was cut has no end of turn. */
  pairOf({ id, user, shown }: OnlinePrompt, chosen: Sample, rejected: Sample): MadePair {
    const outcome = tokenizePair(
      {
        ...{ id, prompt: [...shown], ...(user !== undefined && { user }) },
        chosen: [{ role: 'assistant', content: chosen.text }],
        rejected: [{ role: 'assistant', content: rejected.text }],
      },
      this.#in.tokenizer,
    );
    if (!outcome.ok) return { reason: outcome.reason };
    const chosenIds = withEnd(outcome.pair.chosenIds, chosen);
    const rejectedIds = withEnd(outcome.pair.rejectedIds, rejected);
    if (chosenIds.length === 0 || rejectedIds.length === 0) return { reason: 'an answer has no tokens' };
    return { pair: { ...outcome.pair, chosenIds, rejectedIds } };
  }

  async close(): Promise<void> {
    await this.#current?.model.dispose();
    await this.#adapters.close();
    rmSync(join(this.#in.options.outputDir, ADAPTERS_FOLDER), { recursive: true, force: true });
  }

  /** Writes the adapter as it is, lets the server load it, and asks for it from now on. */
  async #handOver(step: number): Promise<void> {
    const { options, policy, onEvent, apiKey, signal } = this.#in;
    const folder = `step-${step}`;
    const own = join(options.outputDir, ADAPTERS_FOLDER);
    await savePolicy(policy, join(own, folder));
    const root = options.vllmOutputDir ?? resolve(options.outputDir);
    const name = await this.#adapters.load(`${root}/${ADAPTERS_FOLDER}/${folder}`, step);
    await this.#current?.model.dispose();
    const model = await createServerChatModel({ ...this.#server, model: name }, { apiKey, signal });
    // The server has read it: only the newest has to stay, for a server that reads again what it has put aside.
    if (this.#current !== null) {
      rmSync(join(own, `step-${this.#current.step}`), { recursive: true, force: true });
    }
    this.#current = { model, step };
    onEvent({ type: 'reload', step, adapter: name });
  }

  *#requests(
    prompts: readonly OnlinePrompt[],
    samples: number,
    seeds: readonly number[],
  ): Generator<ChatRequest> {
    const { temperature, topP, topK, maxNewTokens } = this.#in.options;
    for (const [index, { id, shown }] of prompts.entries()) {
      for (let sample = 0; sample < samples; sample++) {
        const seed = createRandom(seeds[index] as number, sample).uint32();
        yield {
          id: `${id}, sample ${sample + 1}`,
          messages: shown,
          sampling: { temperature, topP, topK, maxTokens: maxNewTokens, seed },
        };
      }
    }
  }

  #sampleOf({ text, finishReason }: ChatReply): Sample {
    const { tokenizer } = this.#in;
    const ids = tokenizer.encodeContinuation(text);
    if (finishReason === 'length') return { text, ids, finishReason };
    const end = endOfTurnTokenId(tokenizer) ?? tokenizer.eosTokenId;
    return { text, ids: end === null ? ids : [...ids, end], finishReason: 'stop' };
  }

  /** @throws LlmApiError where nothing came at all */
  #tell(failures: readonly LlmApiError[], total: number): void {
    const last = failures.at(-1);
    if (last === undefined) return;
    const message = `${failures.length} of ${total} samples are missing; the last because: ${last.message}`;
    if (failures.length === total) {
      throw new LlmApiError(message, { retryable: last.retryable, cause: last });
    }
    this.#in.onEvent({ type: 'notice', message });
  }
}

function serverOptions({ options, baseUrl, policy, apiKey }: VllmSamplerInputs): ServerChatModelOptions {
  return resolveChatModelOptions({
    ...{ kind: 'server', baseUrl, model: options.vllmAdapterName },
    // A server tells its adapters without the length of their context.
    contextTokens: policy.model.config.maxPositionEmbeddings,
    apiKeyVariable: apiKey === undefined ? null : options.vllmApiKeyVariable,
    concurrency: options.vllmConcurrency,
    maxRetries: options.vllmMaxRetries,
    retryDelayMs: options.vllmRetryDelayMs,
  }) as ServerChatModelOptions;
}

function withEnd(ids: number[], { finishReason }: Sample): number[] {
  return finishReason === 'length' ? ids.slice(0, -1) : ids;
}

function withheld(id: string): LlmApiError {
  return new LlmApiError(`Request ${id}: the server's filter withheld the reply.`, { retryable: false });
}
