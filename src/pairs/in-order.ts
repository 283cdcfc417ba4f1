/** Values that become ready in any order and leave in the order of their indices. */
export interface InOrder<T> {
  /** Values that wait for one before them. */
  readonly waiting: number;
  /** Puts in the value of an index; each index from 0 gets exactly one. */
  put(index: number, value: T): void;
  /** Takes out all values up to the first index that has none yet. */
  take(): Generator<T, void, void>;
}

export function createInOrder<T>(): InOrder<T> {
  const ready = new Map<number, T>();
  let next = 0;
  return {
    get waiting() {
      return ready.size;
    },
    put: (index, value) => {
      ready.set(index, value);
    },
    *take() {
      while (ready.has(next)) {
        const value = ready.get(next) as T;
        ready.delete(next++);
        yield value;
      }
    },
  };
}
