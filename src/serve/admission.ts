/** How many requests may be in the server at a time. */

import { ApiError } from './api-error.js';

/** Counts answers that are asked for and not finished, and turns away those for which there is no place. */
export class Admission {
  readonly #places: number;
  readonly #inside = new Set<symbol>();
  readonly #waitingForEmpty: (() => void)[] = [];
  #answers = 0;

  /** @param places Answers that are computed or wait at a time */
  constructor(places: number) {
    this.#places = places;
  }

  get answers(): number {
    return this.#answers;
  }

  /**
   * Lets a request for `answers` answers in; the caller calls what comes back once it has ended. A request for more
   * answers than there are places enters when nothing else is there.
   *
   * @throws ApiError (429) with a time after which to come again
   */
  enter(answers: number): () => void {
    if (this.#answers > 0 && this.#answers + answers > this.#places) {
      throw new ApiError(429, `The server is busy: ${this.#answers} answers are under way or wait.`, {
        type: 'rate_limit_error',
        code: 'queue_full',
        headers: { 'retry-after': '1' },
      });
    }
    const request = Symbol('request');
    this.#inside.add(request);
    this.#answers += answers;
    return () => {
      if (!this.#inside.delete(request)) return;
      this.#answers -= answers;
      if (this.#inside.size === 0) for (const tell of this.#waitingForEmpty.splice(0)) tell();
    };
  }

  /** Resolves once nothing is inside, or after `timeoutMs`; true where nothing is. */
  async empty(timeoutMs: number): Promise<boolean> {
    if (this.#inside.size === 0) return true;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#waitingForEmpty.push(resolve);
      timer = setTimeout(resolve, timeoutMs);
    });
    clearTimeout(timer);
    return this.#inside.size === 0;
  }
}
