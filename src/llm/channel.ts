/** A queue between those who put values in and the one who takes them out; putting waits while it is full. */
export class Channel<Value> {
  readonly #capacity: number;
  readonly #values: Value[] = [];
  #end: { error?: unknown } | undefined;
  #taker = () => {};
  #putters: (() => void)[] = [];

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Puts a value in at once, however full it is; what comes after the end is dropped. */
  push(value: Value): void {
    if (this.#end !== undefined) return;
    this.#values.push(value);
    this.#taker();
  }

  /** {@link push}, and waits until there is room for another; ends at once when the taker has gone. */
  async put(value: Value): Promise<void> {
    this.push(value);
    while (this.#end === undefined && this.#values.length >= this.#capacity) {
      await new Promise<void>((resolve) => this.#putters.push(resolve));
    }
  }

  /** No more comes; with an error, that is thrown to the taker behind what is there. */
  end(failure: { error?: unknown } = {}): void {
    this.#end ??= failure;
    this.#taker();
    this.#wakePutters();
  }

  async *take(): AsyncGenerator<Value, void, void> {
    try {
      for (;;) {
        while (this.#values.length > 0) {
          const value = this.#values.shift() as Value;
          this.#wakePutters();
          yield value;
        }
        if (this.#end !== undefined) {
          if ('error' in this.#end) throw this.#end.error;
          return;
        }
        await new Promise<void>((resolve) => (this.#taker = resolve));
      }
    } finally {
      this.end();
    }
  }

  #wakePutters(): void {
    const putters = this.#putters;
    this.#putters = [];
    for (const wake of putters) wake();
  }
}
