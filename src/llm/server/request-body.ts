/** The body of a chat request, as a server wants it: what some do not know is left out or called otherwise. */
import type { ChatRequest } from '../chat-model.js';
import { plainMessages } from '../plain-messages.js';
import type { ResolvedSampling } from '../sampling.js';
import type { Failure } from './failures.js';
import type { ServerChatModelOptions } from './options.js';

export type RequestBody = Record<string, unknown>;

/** Seeds as every server takes them: signed 32-bit integers. */
const SEEDS = 2 ** 31;

/** Fields that a reply does not depend on where a server does not know them. */
const DISPENSABLE = ['stream_options', 'seed'] as const;

/** What has been learned of a server's ways, from its refusals. */
export class BodyWriter {
  readonly #options: ServerChatModelOptions;
  readonly #leftOut = new Set<string>();
  #limitField: 'max_tokens' | 'max_completion_tokens' = 'max_tokens';

  constructor(options: ServerChatModelOptions) {
    this.#options = options;
  }

  /** The body that asks for a reply. Without temperature, seed and cuts are not sent: they change nothing. */
  chat(messages: ChatRequest['messages'], sampling: ResolvedSampling, maxTokens: number): RequestBody {
    const { temperature, topP, topK, stop, seed } = sampling;
    const warm = temperature > 0;
    const { stream } = this.#options;
    return this.#write({
      messages: plainMessages(messages),
      temperature,
      ...(warm && topP < 1 ? { top_p: topP } : {}),
      ...(warm && topK > 0 ? { top_k: topK } : {}),
      ...(warm ? { seed: seed % SEEDS } : {}),
      ...(stop.length > 0 ? { stop } : {}),
      [this.#limitField]: maxTokens,
      ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
    });
  }

  /** The body that asks for log-probabilities with one token of a reply, drawn from the model's own distribution. */
  oneToken(messages: readonly object[], fields: RequestBody): RequestBody {
    return this.#write({ messages, temperature: 1, [this.#limitField]: 1, ...fields });
  }

  /**
   * Learns from a refusal that names a field of `body`; true where the request may now be written otherwise and sent
   * again.
   */
  learnFrom({ of, retryable, status, body: said = '' }: Failure, body: RequestBody): boolean {
    if (of !== 'request' || retryable || status === undefined) return false;
    const names = (field: string) => field in body && new RegExp(`\\b${field}\\b`).test(said);
    if (names('max_tokens') && /\bmax_completion_tokens\b/.test(said)) {
      this.#limitField = 'max_completion_tokens';
      return true;
    }
    const refused = DISPENSABLE.filter(names);
    for (const field of refused) this.#leftOut.add(field);
    return refused.length > 0;
  }

  #write(fields: RequestBody): RequestBody {
    const { model, extraBody } = this.#options;
    const known = Object.entries(fields).filter(([field]) => !this.#leftOut.has(field));
    return { model, ...Object.fromEntries(known), ...extraBody };
  }
}
