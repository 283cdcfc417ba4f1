/** A limit on what requests may cost, kept to even while many are under way. */
import { LlmApiError } from '../../errors.js';
import { costOf, type Prices } from '../usage-meter.js';

export interface Limits {
  /** In the currency of the prices; null for none. */
  maxCost: number | null;
  /** Prompts and replies together; null for none. */
  maxTokensTotal: number | null;
  prices: Prices | null;
}

/** Tokens that a request may take at most. */
export interface Estimate {
  promptTokens: number;
  completionTokens: number;
}

interface Sum {
  tokens: number;
  cost: number;
}

export class Budget {
  readonly #limits: Limits;
  #spent: Sum = { tokens: 0, cost: 0 };
  #reserved: Sum = { tokens: 0, cost: 0 };
  #underWay = 0;
  #waiting: (() => void)[] = [];

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /**
   * Sets an estimate aside, waiting while it is only requests under way that stand in the way, since they will mostly
   * take less than was set aside for them.
   *
   * @returns null where the limit would be passed even if nothing were under way: see {@link Budget.exceeded}
   */
  async admit(estimate: Estimate, signal: AbortSignal): Promise<Reservation | null> {
    const asked = this.#sumOf(estimate);
    while (!this.#fits(asked)) {
      if (this.#underWay === 0) return null;
      await this.#change(signal);
    }
    this.#move(this.#reserved, asked, 1);
    this.#underWay++;
    return {
      settle: (actual) => {
        this.#move(this.#reserved, asked, -1);
        this.#underWay--;
        this.#move(this.#spent, this.#sumOf(actual), 1);
        for (const wake of this.#waiting.splice(0)) wake();
      },
    };
  }

  /** The error for a request that was not admitted. */
  exceeded(estimate: Estimate): LlmApiError {
    const { maxCost, maxTokensTotal } = this.#limits;
    const { tokens, cost } = this.#spent;
    const next = this.#sumOf(estimate);
    const byCost = maxCost !== null && cost + next.cost > maxCost;
    const message = byCost
      ? `The next request may cost up to ${money(next.cost)}, ${money(cost)} are spent, and maxCost is ${money(maxCost)}`
      : `The next request may take up to ${next.tokens} tokens, ${tokens} are used, and maxTokensTotal is ${maxTokensTotal}`;
    return new LlmApiError(`${message}: nothing more is asked. Raise the limit to go on.`, {
      retryable: false,
      details: { spentTokens: tokens, spentCost: cost, maxCost, maxTokensTotal },
    });
  }

  #fits({ tokens, cost }: Sum): boolean {
    const { maxCost, maxTokensTotal } = this.#limits;
    const [spent, reserved] = [this.#spent, this.#reserved];
    return (
      (maxTokensTotal === null || spent.tokens + reserved.tokens + tokens <= maxTokensTotal) &&
      (maxCost === null || spent.cost + reserved.cost + cost <= maxCost)
    );
  }

  #sumOf(estimate: Estimate): Sum {
    const tokens = estimate.promptTokens + estimate.completionTokens;
    return { tokens, cost: costOf(estimate, this.#limits.prices) ?? 0 };
  }

  #move(sum: Sum, by: Sum, sign: 1 | -1): void {
    sum.tokens += sign * by.tokens;
    sum.cost += sign * by.cost;
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = () => reject(signal.reason);
      signal.throwIfAborted();
      signal.addEventListener('abort', abort, { once: true });
      this.#waiting.push(() => {
        signal.removeEventListener('abort', abort);
        resolve();
      });
    });
  }
}

export interface Reservation {
  /** Once: what was set aside becomes what was taken. */
  settle(actual: Estimate): void;
}

function money(amount: number | null): string {
  return amount === null ? 'none' : amount.toPrecision(3);
}
