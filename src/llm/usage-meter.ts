/** Counts what has been asked. */
import type { ChatUsage } from './chat-model.js';

/** Prices in the user's currency. */
export interface Prices {
  /** Of a million prompt tokens. */
  prompt: number;
  /** Of a million tokens of replies. */
  completion: number;
}

export interface Spent {
  requests?: number;
  cached?: number;
  failed?: number;
  promptTokens?: number;
  completionTokens?: number;
}

export class UsageMeter {
  readonly #prices: Prices | null;
  readonly #counts = { requests: 0, cached: 0, failed: 0, promptTokens: 0, completionTokens: 0 };

  constructor(prices: Prices | null = null) {
    this.#prices = prices;
  }

  count({ requests = 1, cached = 0, failed = 0, promptTokens = 0, completionTokens = 0 }: Spent): void {
    this.#counts.requests += requests;
    this.#counts.cached += cached;
    this.#counts.failed += failed;
    this.#counts.promptTokens += promptTokens;
    this.#counts.completionTokens += completionTokens;
  }

  usage(): ChatUsage {
    return { ...this.#counts, cost: costOf(this.#counts, this.#prices) };
  }
}

/** Null without prices. */
export function costOf(
  { promptTokens = 0, completionTokens = 0 }: Spent,
  prices: Prices | null,
): number | null {
  return prices === null
    ? null
    : (promptTokens * prices.prompt + completionTokens * prices.completion) / 1_000_000;
}
