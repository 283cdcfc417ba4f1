/** Work on one thing at a time, while work on others goes on. */

export class KeyedQueue {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Does `work` once all earlier work under `key` has ended, however it ended. */
  run<Result>(key: string, work: () => Promise<Result>): Promise<Result> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const result = before.then(work, work);
    const last = result.then(
      () => undefined,
      () => undefined,
    );
    this.#last.set(key, last);
    void last.then(() => {
      if (this.#last.get(key) === last) this.#last.delete(key);
    });
    return result;
  }

  /** Resolves once no work is left. */
  async empty(): Promise<void> {
    while (this.#last.size > 0) await Promise.all(this.#last.values());
  }
}
