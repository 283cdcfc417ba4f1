/** One batch that never ends: answers leave it when they are finished, and new requests enter between two tokens. */

import { createRandom, type Random } from '../data/random.js';
import { createStreamDecoder, type StreamDecoder } from '../data/stream-decoder.js';
import type { Tokenizer } from '../data/tokenizer.js';
import { Channel } from '../llm/channel.js';
import { DecodeBatch } from '../models/generation/decode-batch.js';
import { drawTokens } from '../models/generation/draw-tokens.js';
import type { Sampling } from '../models/generation/options.js';
import { type GenerationModel, LIMITS, promptCache } from '../models/generation/prompt-cache.js';
import type { Scores } from '../models/generation/scores.js';
import { SharedPrefix } from '../models/generation/shared-prefix.js';
import { createStopText, type StopText } from '../models/generation/stop-text.js';
import type { AnswerEvent, AnswerSampling } from './served-model.js';

export interface BatchLimits {
  /** Answers computed together. */
  maxBatch: number;
  /** Tokens of all of them, those that are still to come included: what their caches may take. */
  batchTokens: number;
}

/** What is to be answered. */
export interface BatchRequest {
  /** At least one token, and fewer than the model's positions. */
  ids: readonly number[];
  samples: number;
  sampling: AnswerSampling;
}

/** Tokens of prompts that enter between two tokens of the others, so that these do not stand still for long. */
const ENTERING_TOKENS = 4096;

/** Share of the batch that has ended before the rest closes up, where nobody waits for the places. */
const ENDED_SHARE = 1 / 8;

interface Job extends BatchRequest {
  events: Channel<AnswerEvent>;
  cancelled: boolean;
  unfinished: number;
}

/** One answer in the making. */
interface Sequence {
  job: Job;
  sample: number;
  random: Random;
  decoder: StreamDecoder;
  stops: StopText;
  lastId: number;
  tokens: number;
  room: number;
  ended: boolean;
}

/**
 * Answers requests as they come, all that are there in one batch; each with its own sampling. What one request gets
 * does not depend on the others, but for the last bits of the numbers.
 *
 * Requests enter in their order, a request's samples together: its prompt is computed once.
 */
export class ContinuousBatch {
  readonly #loaded: GenerationModel;
  readonly #tokenizer: Tokenizer;
  readonly #limits: BatchLimits;
  readonly #stopTokens: ReadonlySet<number>;
  readonly #batch: DecodeBatch;
  readonly #prefix = new SharedPrefix();
  readonly #closing = new AbortController();
  #waiting: Job[] = [];
  #active: Sequence[] = [];
  #running: Promise<void> | null = null;

  /** @param loaded Stays the caller's, who frees it after {@link close}. */
  constructor(loaded: GenerationModel, tokenizer: Tokenizer, limits: BatchLimits) {
    this.#loaded = loaded;
    this.#tokenizer = tokenizer;
    this.#limits = limits;
    const { config } = loaded.model;
    this.#stopTokens = new Set([...config.eosTokenIds, ...tokenizer.stopTokenIds]);
    this.#batch = new DecodeBatch(loaded);
  }

  /** Answers that are being computed, and requests that wait. */
  get load(): { active: number; waiting: number } {
    return { active: this.#active.filter(isAlive).length, waiting: this.#waiting.length };
  }

  /** The answers' pieces and ends as they come. Ending the iteration, or `signal`, takes the request out of the batch. */
  async *answer(request: BatchRequest, signal: AbortSignal): AsyncGenerator<AnswerEvent, void, void> {
    signal.throwIfAborted();
    this.#closing.signal.throwIfAborted();
    const events = new Channel<AnswerEvent>(Number.POSITIVE_INFINITY);
    const job: Job = { ...request, events, cancelled: false, unfinished: request.samples };
    const cancel = (failure: { error?: unknown } = {}) => {
      job.cancelled = true;
      this.#waiting = this.#waiting.filter((each) => each !== job);
      events.end(failure);
    };
    const abort = () => cancel({ error: signal.reason });
    signal.addEventListener('abort', abort, { once: true });
    this.#waiting.push(job);
    this.#running ??= this.#run();
    try {
      yield* events.take();
    } finally {
      signal.removeEventListener('abort', abort);
      cancel();
    }
  }

  /** Ends all answers with `reason`, and frees the caches once the computation under way has ended. */
  async close(reason: unknown): Promise<void> {
    this.#closing.abort(reason);
    await this.#running;
    for (const { events } of this.#waiting.splice(0)) events.end({ error: reason });
    this.#endActive(reason);
  }

  async #run(): Promise<void> {
    // Requests that arrive together, as those of a burst do, are to enter together.
    await new Promise((resolve) => setImmediate(resolve));
    while (!this.#closing.signal.aborted && this.#waiting.length + this.#active.length > 0) {
      try {
        await this.#round();
      } catch (error) {
        // What breaks a round breaks the answers in it, not those of requests that come later.
        this.#endActive(error);
      }
    }
    this.#running = null;
  }

  /** One token of every answer, or the first token of those that enter. */
  async #round(): Promise<void> {
    this.#closeUp();
    const entering = this.#takeEntering();
    if (entering.length > 0) await this.#enter(entering);
    else if (this.#active.length > 0) await this.#step();
  }

  #closeUp(): void {
    for (const sequence of this.#active) sequence.ended ||= sequence.job.cancelled;
    const alive = this.#active.flatMap(({ ended }, index) => (ended ? [] : [index]));
    const ended = this.#active.length - alive.length;
    const worthwhile =
      alive.length === 0 || this.#waiting.length > 0 || ended >= this.#active.length * ENDED_SHARE;
    if (ended === 0 || !worthwhile) return;
    this.#batch.keepSequences(alive);
    this.#active = alive.map((index) => this.#active[index]!);
  }

  /** Those at the head of the queue for which there is room; at least one where the batch is empty. */
  #takeEntering(): Job[] {
    const { maxBatch, batchTokens } = this.#limits;
    const entering: Job[] = [];
    let sequences = this.#active.length;
    let longest = Math.max(0, ...this.#active.map(({ job, room }) => job.ids.length + room));
    let tokens = 0;
    for (const job of this.#waiting) {
      sequences += job.samples;
      tokens += job.ids.length;
      longest = Math.max(longest, job.ids.length + this.#roomOf(job));
      const fits = sequences <= maxBatch && sequences * longest <= batchTokens;
      const first = entering.length === 0;
      if (!(first && this.#active.length === 0) && !(fits && (first || tokens <= ENTERING_TOKENS))) break;
      entering.push(job);
    }
    this.#waiting = this.#waiting.slice(entering.length);
    return entering;
  }

  #roomOf({ ids, sampling }: BatchRequest): number {
    return Math.min(sampling.maxTokens, this.#loaded.model.config.maxPositionEmbeddings - ids.length);
  }

  async #enter(jobs: readonly Job[]): Promise<void> {
    const sequences = jobs.flatMap((job) =>
      Array.from({ length: job.samples }, (_, sample) => this.#sequence(job, sample)),
    );
    const rows = sequences.map(({ job }) => jobs.indexOf(job));
    const prompts = jobs.map(({ ids }) => ids);
    // Should computing the prompts fail, they end with the others.
    this.#active.push(...sequences);
    const caches = await promptCache(this.#loaded, prompts, this.#closing.signal, LIMITS, this.#prefix);
    await this.#take(sequences, rows, await this.#batch.add(caches, rows));
  }

  #sequence(job: Job, sample: number): Sequence {
    return {
      ...{ job, sample, lastId: 0, tokens: 0, room: this.#roomOf(job), ended: false },
      random: createRandom(job.sampling.seed, sample),
      decoder: createStreamDecoder(this.#tokenizer, { skipSpecialTokens: true }),
      stops: createStopText(job.sampling.stop),
    };
  }

  async #step(): Promise<void> {
    const sequences = [...this.#active];
    const scores = await this.#batch.step(Int32Array.from(sequences, ({ lastId }) => lastId));
    await this.#take(
      sequences,
      sequences.map((_, row) => row),
      scores,
    );
  }

  /** The next token of each sequence from its row of the scores, which are freed. */
  async #take(sequences: readonly Sequence[], rows: readonly number[], scores: Scores): Promise<void> {
    const open = sequences.flatMap((sequence, index) =>
      isAlive(sequence) ? [{ ...drawOf(sequence), row: rows[index] as number, sequence }] : [],
    );
    try {
      if (open.length === 0) return;
      const drawn = await drawTokens(scores, open);
      for (const [index, { id }] of drawn.entries()) this.#addToken(open[index]!.sequence, id);
    } finally {
      scores.dispose();
    }
  }

  #addToken(sequence: Sequence, id: number): void {
    sequence.lastId = id;
    sequence.tokens += 1;
    if (this.#stopTokens.has(id)) {
      this.#end(sequence, 'stop');
      return;
    }
    if (this.#say(sequence, sequence.decoder.push(id))) this.#end(sequence, 'stop', true);
    else if (sequence.tokens >= sequence.room) this.#end(sequence, 'length');
  }

  /** Gives out what of a piece has become certain; true where a stop text ended the answer. */
  #say({ job, sample, stops }: Sequence, piece: string): boolean {
    const { text, stop } = stops.push(piece);
    if (text !== '') job.events.push({ type: 'text', sample, text });
    return stop !== null;
  }

  #end(sequence: Sequence, reason: 'stop' | 'length', atStopText = false): void {
    const { job, sample, tokens, decoder, stops } = sequence;
    let finishReason = reason;
    if (!atStopText) {
      if (this.#say(sequence, decoder.end())) finishReason = 'stop';
      else {
        const text = stops.end();
        if (text !== '') job.events.push({ type: 'text', sample, text });
      }
    }
    sequence.ended = true;
    const promptTokens = job.ids.length;
    job.events.push({ type: 'end', sample, finishReason, promptTokens, completionTokens: tokens });
    job.unfinished -= 1;
    if (job.unfinished === 0) job.events.end();
  }

  #endActive(error: unknown): void {
    for (const { job } of this.#active) job.events.end({ error });
    this.#active = [];
    this.#batch.dispose();
    this.#prefix.dispose();
  }
}

function isAlive({ ended, job }: Sequence): boolean {
  return !ended && !job.cancelled;
}

/** Colder than this, nothing but the likeliest token is ever drawn. */
const COLDEST = 1e-6;

function drawOf({ job, random }: Sequence) {
  const { temperature, topP, topK } = job.sampling;
  const sampling: Sampling = {
    ...{ topP, topK, minP: 0, repetitionPenalty: 1 },
    temperature: temperature < COLDEST ? 0 : temperature,
  };
  return { sampling, random, seen: NONE };
}

/** What has been said matters to penalties alone, of which there are none. */
const NONE: ReadonlySet<number> = new Set();
