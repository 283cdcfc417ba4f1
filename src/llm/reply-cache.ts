/** A chat model whose replies are kept, so that a run that is started again asks nothing twice. */
import { createHash } from 'node:crypto';
import { Channel } from './channel.js';
import type {
  ChatModel,
  ChatReply,
  ChatRequest,
  GenerateCallOptions,
  LabelReply,
  LabelRequest,
  Outcome,
} from './chat-model.js';
import { plainMessages } from './plain-messages.js';
import { openReplyStore, type ReplyStore, type StoredReply } from './reply-store.js';
import type { Numbered } from './requests.js';
import { checkLabels, decisiveSampling } from './sampling.js';

/** To be raised when what is asked of models changes: kept replies are then not used. */
const CACHE_VERSION = 1;

/** Outcomes that wait for the caller before further requests are looked up. */
const WAITING = 64;

export interface CachedChatModel extends ChatModel {
  /** Removes the kept replies to requests that hold words of this user; says how many there were. */
  forgetOwner(owner: string): Promise<number>;
}

/**
 * Puts a cache in front of a chat model. A reply is kept under a hash (SHA-256) of all that determines it: the model's
 * identity, the messages, the sampling (with the seed only where the temperature is above 0), the labels. Errors are
 * not kept; replies that were cut or filtered are. Equal requests under way at the same time are asked once.
 *
 * An outcome is given when its reply is safe on the disk. A kept reply counts as `cached` in `usage()`, and with it
 * the tokens it once took are not counted again. `dispose` disposes `model`, and closes a store given as a path.
 *
 * @param store Path of a file (see `openReplyStore`), or a store
 */
export function withReplyCache(model: ChatModel, store: string | ReplyStore): CachedChatModel {
  const replies = typeof store === 'string' ? openReplyStore(store) : store;
  const shared: Shared = { replies, underWay: new Map(), cached: 0 };
  return {
    identity: model.identity,
    contextTokens: model.contextTokens,
    generate: (requests, options) =>
      answer<ChatRequest, ChatReply>(shared, requests, options, {
        keyOf: ({ messages, sampling }) =>
          keyOf(model.identity, {
            kind: 'chat',
            messages: plainMessages(messages),
            ...decisiveSampling(sampling),
          }),
        ask: (missing, call) => model.generate(missing, call),
        isReply: (reply): reply is Kept<ChatReply> => 'text' in reply,
      }),
    scoreLabels: (requests, options) =>
      answer<LabelRequest, LabelReply>(shared, requests, options, {
        keyOf: ({ messages, labels }) => {
          checkLabels(labels);
          return keyOf(model.identity, { kind: 'labels', messages: plainMessages(messages), labels });
        },
        ask: (missing, call) => model.scoreLabels(missing, call),
        isReply: (reply): reply is Kept<LabelReply> => 'logprobs' in reply,
      }),
    countTokens: (text) => model.countTokens(text),
    usage: () => ({ ...model.usage(), cached: shared.cached }),
    forgetOwner: (owner) => replies.forgetOwner(owner),
    async dispose() {
      await model.dispose();
      if (typeof store === 'string') await replies.close();
    },
  };
}

/** What all calls of one cache share. */
interface Shared {
  replies: ReplyStore;
  /** By key; resolves when the reply is kept, or it is certain that none comes. */
  underWay: Map<string, Promise<void>>;
  cached: number;
}

type Kept<Reply> = Omit<Reply, 'cached'>;

interface Kind<Request, Reply> {
  keyOf(request: Request): Buffer;
  ask(missing: AsyncIterable<Request>, options: GenerateCallOptions): AsyncIterable<Outcome<Reply>>;
  isReply(reply: StoredReply['reply']): reply is StoredReply['reply'] & Kept<Reply>;
}

function keyOf(identity: string, question: object): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([CACHE_VERSION, identity, question]))
    .digest();
}

/** What a call asks of the model itself, and the requests that wait for it. */
interface Asking<Request> {
  key: Buffer;
  name: string;
  waiting: Numbered<Request>[];
  settle: () => void;
}

async function* answer<Request extends ChatRequest | LabelRequest, Reply extends { cached: boolean }>(
  shared: Shared,
  requests: Iterable<Request> | AsyncIterable<Request>,
  { signal }: GenerateCallOptions = {},
  kind: Kind<Request, Reply>,
): AsyncGenerator<Outcome<Reply>, void, void> {
  const call = new CachedCall(shared, kind);
  const stop = new AbortController();
  const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const relayed = call.relay(requests, both);
  try {
    yield* call.outcomes.take();
  } finally {
    stop.abort(new Error('the iteration was ended'));
    await relayed;
  }
}

/** One call's way through the cache: what is kept goes straight to `outcomes`, the rest by way of the model. */
class CachedCall<Request extends ChatRequest | LabelRequest, Reply extends { cached: boolean }> {
  readonly outcomes = new Channel<Outcome<Reply>>(WAITING);
  readonly #shared: Shared;
  readonly #kind: Kind<Request, Reply>;
  /** By key, and by the place among what the model is asked. */
  readonly #open = new Map<string, Asking<Request>>();
  readonly #asked = new Map<number, Asking<Request>>();
  /** Requests that another call is asking, and those of them for which it got no reply. */
  readonly #elsewhere = new Set<Promise<void>>();
  readonly #again: Numbered<Request>[] = [];

  constructor(shared: Shared, kind: Kind<Request, Reply>) {
    this.#shared = shared;
    this.#kind = kind;
  }

  /** Sees to all requests; whatever happens is told through `outcomes`. */
  async relay(requests: Iterable<Request> | AsyncIterable<Request>, signal: AbortSignal): Promise<void> {
    try {
      for await (const outcome of this.#kind.ask(this.#missing(requests), { signal })) {
        const asked = this.#asked.get(outcome.index) as Asking<Request>;
        this.#asked.delete(outcome.index);
        if (outcome.error === undefined) await this.#keep(asked, outcome.reply);
        this.#finish(asked);
        await this.#deliver(asked, outcome);
      }
      this.outcomes.end();
    } catch (error) {
      this.outcomes.end({ error });
    } finally {
      for (const asked of this.#open.values()) this.#finish(asked);
    }
  }

  /** The requests that only the model can answer. */
  async *#missing(requests: Iterable<Request> | AsyncIterable<Request>): AsyncGenerator<Request, void, void> {
    let count = 0;
    for await (const numbered of this.#all(requests)) {
      const key = this.#kind.keyOf(numbered.request);
      const kept = this.#kept(key);
      if (kept !== undefined) {
        await this.outcomes.put(await this.#outcomeOf(numbered, key, kept));
      } else if (this.#claim(numbered, key, count)) {
        count++;
        yield numbered.request;
      }
    }
  }

  async *#all(
    requests: Iterable<Request> | AsyncIterable<Request>,
  ): AsyncGenerator<Numbered<Request>, void, void> {
    let index = 0;
    for await (const request of requests) yield { index: index++, request };
    for (;;) {
      while (this.#again.length > 0) yield this.#again.shift() as Numbered<Request>;
      if (this.#elsewhere.size === 0) return;
      await Promise.race(this.#elsewhere);
    }
  }

  #kept(key: Buffer): (StoredReply & { reply: Kept<Reply> }) | undefined {
    const stored = this.#shared.replies.get(key);
    return stored !== undefined && this.#kind.isReply(stored.reply)
      ? { ...stored, reply: stored.reply }
      : undefined;
  }

  /**
   * Whether this call has to ask: not where the same is being asked already, whose reply is then waited for. Nothing
   * may be awaited between looking for a kept reply and this.
   */
  #claim(numbered: Numbered<Request>, key: Buffer, place: number): boolean {
    const name = key.toString('hex');
    const own = this.#open.get(name);
    if (own !== undefined) {
      own.waiting.push(numbered);
      return false;
    }
    const other = this.#shared.underWay.get(name);
    if (other !== undefined) {
      this.#await(other, numbered, key);
      return false;
    }
    let settle = () => {};
    this.#shared.underWay.set(name, new Promise<void>((resolve) => (settle = resolve)));
    const asked = { key, name, waiting: [numbered], settle };
    this.#open.set(name, asked);
    this.#asked.set(place, asked);
    return true;
  }

  #await(other: Promise<void>, numbered: Numbered<Request>, key: Buffer): void {
    const deliver = async () => {
      try {
        await other;
        const kept = this.#kept(key);
        if (kept === undefined) this.#again.push(numbered);
        else this.outcomes.push(await this.#outcomeOf(numbered, key, kept));
      } catch (error) {
        this.outcomes.end({ error });
      }
    };
    const delivered = deliver().finally(() => this.#elsewhere.delete(delivered));
    this.#elsewhere.add(delivered);
  }

  /** A kept reply, which from now on is this request's owner's, too. */
  async #outcomeOf(
    { index, request }: Numbered<Request>,
    key: Buffer,
    { owners, reply }: StoredReply & { reply: Kept<Reply> },
  ): Promise<Outcome<Reply>> {
    const { owner, id } = request;
    if (owner !== undefined && !owners.includes(owner)) {
      await this.#shared.replies.put(key, { owners: [...owners, owner], reply });
    }
    this.#shared.cached++;
    return { index, id, reply: { ...reply, cached: true } as unknown as Reply };
  }

  async #keep({ key, waiting }: Asking<Request>, { cached: _, ...reply }: Reply): Promise<void> {
    let written: number;
    do {
      written = waiting.length;
      const owners = new Set(waiting.flatMap(({ request }) => request.owner ?? []));
      await this.#shared.replies.put(key, {
        owners: [...owners],
        reply: reply as unknown as StoredReply['reply'],
      });
      // Others may have joined while it was written.
    } while (waiting.length > written);
  }

  #finish({ name, settle }: Asking<Request>): void {
    this.#open.delete(name);
    this.#shared.underWay.delete(name);
    settle();
  }

  /** The model's outcome to all who asked for it; only the first of them caused it. */
  async #deliver({ waiting }: Asking<Request>, { reply, error }: Outcome<Reply>): Promise<void> {
    for (const [nth, { index, request }] of waiting.entries()) {
      if (error !== undefined) await this.outcomes.put({ index, id: request.id, error });
      else {
        if (nth > 0) this.#shared.cached++;
        await this.outcomes.put({ index, id: request.id, reply: { ...reply, cached: nth > 0 } });
      }
    }
  }
}
