/** Requests that come one by one or all at once, put together into batches for a model that runs one at a time. */

import { PersonaDpoError } from '../errors.js';
import type { AnswerRow } from './answer-rows.js';
import type { RewardNetwork } from './network.js';
import type { RewardUsage } from './reward-model.js';
import { planBatches, type RowBatch, type SharedRows, shareRows } from './row-batches.js';

interface Waiting {
  rows: readonly AnswerRow[];
  signal: AbortSignal | undefined;
  resolve: (rewards: number[]) => void;
  reject: (error: unknown) => void;
}

/** A request whose rows are on their way. */
interface UnderWay extends Waiting {
  rewards: Float64Array;
  left: number;
}

/** Requests that are looked at together for batches of rows of like length. */
const WINDOW_BATCHES = 16;

export class ScoringQueue {
  readonly #network: RewardNetwork;
  readonly #batchTokens: number;
  readonly #name: string;
  readonly #usage: RewardUsage = { requests: 0, candidates: 0, cached: 0, truncated: 0, tokens: 0 };
  #waiting: Waiting[] = [];
  #working: Promise<void> | undefined;

  /** @param options `name`: what messages call the model */
  constructor(network: RewardNetwork, { batchTokens, name }: { batchTokens: number; name: string }) {
    this.#network = network;
    this.#batchTokens = batchTokens;
    this.#name = name;
  }

  usage(): RewardUsage {
    return { ...this.#usage };
  }

  score(rows: readonly AnswerRow[], signal?: AbortSignal): Promise<number[]> {
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ rows, signal, resolve, reject });
      this.#working ??= this.#work();
    });
  }

  /** Resolves when nothing is under way any more. */
  async settled(): Promise<void> {
    await this.#working;
  }

  async #work(): Promise<void> {
    // What is asked in the same breath goes together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const window = this.#takeWindow();
      await this.#answer(window);
    }
    this.#network.release();
    this.#working = undefined;
  }

  /** The requests that waited longest, of as many tokens as make several batches. */
  #takeWindow(): UnderWay[] {
    const window: UnderWay[] = [];
    let tokens = 0;
    while (this.#waiting.length > 0 && tokens < WINDOW_BATCHES * this.#batchTokens) {
      const waiting = this.#waiting.shift() as Waiting;
      if (waiting.signal?.aborted) {
        waiting.reject(waiting.signal.reason);
        continue;
      }
      const { rows } = waiting;
      window.push({ ...waiting, rewards: new Float64Array(rows.length), left: rows.length });
      tokens += rows.reduce((sum, { ids }) => sum + ids.length, 0);
    }
    return window;
  }

  async #answer(window: readonly UnderWay[]): Promise<void> {
    const groups = window.map(({ rows }, request) =>
      this.#shared(
        request,
        rows.map(({ ids }) => ids),
      ),
    );
    for (const batch of planBatches(groups.flat(), this.#batchTokens)) {
      const open = this.#stillAsked(batch, window);
      if (open.rows.length === 0) continue;
      try {
        const { rewards, tokens } = await this.#network.run(open);
        this.#usage.tokens += tokens;
        for (const [i, row] of open.rows.entries())
          this.#settle(window[row.request]!, row.index, rewards[i]!);
      } catch (error) {
        for (const { request } of open.rows) this.#fail(window[request]!, error);
      }
    }
  }

  #shared(request: number, rows: readonly (readonly number[])[]): SharedRows[] {
    if (this.#network.sharesPrefixes) return [shareRows({ request, rows })];
    return [{ prefix: [], rows: rows.map((ids, index) => ({ request, index, ids })) }];
  }

  /** The batch without rows that nobody waits for any more. */
  #stillAsked(batch: RowBatch, window: readonly UnderWay[]): RowBatch {
    const rows = batch.rows.filter(({ request }) => {
      const asking = window[request] as UnderWay;
      if (asking.signal?.aborted) this.#fail(asking, asking.signal.reason);
      return asking.left > 0;
    });
    return { ...batch, rows };
  }

  #settle(asking: UnderWay, index: number, reward: number): void {
    if (asking.left === 0) return;
    if (!Number.isFinite(reward)) {
      const message = `The reward model ${this.#name} gave ${reward} for candidate ${index + 1} of ${asking.rows.length}; a finite number was expected.`;
      this.#fail(asking, new PersonaDpoError('SCORES', message));
      return;
    }
    asking.rewards[index] = reward;
    asking.left--;
    if (asking.left > 0) return;
    this.#usage.requests++;
    this.#usage.candidates += asking.rows.length;
    this.#usage.truncated += asking.rows.filter(({ truncated }) => truncated).length;
    asking.resolve([...asking.rewards]);
  }

  #fail(asking: UnderWay, error: unknown): void {
    if (asking.left === 0) return;
    asking.left = 0;
    asking.reject(error);
  }
}
