/** How fast steps go, over the last few of them. */

/** Steps that the pace is taken over: enough to smooth out lengths, few enough to follow the machine. */
const WINDOW = 20;

export class StepPace {
  readonly #recent: { tokens: number; seconds: number }[] = [];

  add(tokens: number, seconds: number): void {
    this.#recent.push({ tokens, seconds });
    if (this.#recent.length > WINDOW) this.#recent.shift();
  }

  get secondsPerStep(): number {
    return this.#sum('seconds') / Math.max(1, this.#recent.length);
  }

  get tokensPerSecond(): number {
    return this.#sum('tokens') / Math.max(1e-9, this.#sum('seconds'));
  }

  #sum(key: 'tokens' | 'seconds'): number {
    return this.#recent.reduce((sum, step) => sum + step[key], 0);
  }
}
