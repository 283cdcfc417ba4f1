/** Reading requests that come all at once or as they are made, without waiting for those that are not there yet. */

/** A request and its place among all. */
export interface Numbered<Request> {
  index: number;
  request: Request;
}

/** What is awaited for how long before a window goes as it is, in milliseconds. */
const PATIENCE_MS = 50;

/**
 * The requests in windows of at most `size`. A window that is not full goes when no further request has come for a
 * while: the next one may be waiting for an answer to one of these.
 */
export async function* requestWindows<Request>(
  requests: Iterable<Request> | AsyncIterable<Request>,
  size: number,
  signal?: AbortSignal,
): AsyncGenerator<Numbered<Request>[], void, void> {
  const iterator = iteratorOf(requests);
  let next: Promise<IteratorResult<Request>> | undefined;
  let window: Numbered<Request>[] = [];
  let index = 0;
  try {
    for (;;) {
      signal?.throwIfAborted();
      next ??= Promise.resolve(iterator.next());
      const result = await settled(next, window.length === 0 ? undefined : PATIENCE_MS, signal);
      if (result !== undefined) {
        next = undefined;
        if (result.done === true) break;
        window.push({ index: index++, request: result.value });
        if (window.length < size) continue;
      }
      yield window;
      window = [];
    }
    if (window.length > 0) yield window;
  } finally {
    closeIterator(iterator, next);
  }
}

export function iteratorOf<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
): Iterator<Item> | AsyncIterator<Item> {
  return Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
}

/** Ends an iteration without waiting for it: a generator that is waiting itself ends when it goes on. */
export function closeIterator(
  iterator: Iterator<unknown> | AsyncIterator<unknown>,
  pending?: Promise<unknown>,
): void {
  pending?.catch(() => {});
  void Promise.resolve(iterator.return?.()).catch(() => {});
}

/** What `promise` gives, or undefined when it takes longer; rejects with the signal's reason when aborted. */
function settled<Value>(
  promise: Promise<Value>,
  waitMs: number | undefined,
  signal: AbortSignal | undefined,
): Promise<Value | undefined> {
  return new Promise((resolve, reject) => {
    const timer = waitMs === undefined ? undefined : setTimeout(() => end(() => resolve(undefined)), waitMs);
    const abort = () => end(() => reject(signal?.reason));
    const end = (settle: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      settle();
    };
    signal?.addEventListener('abort', abort, { once: true });
    promise.then(
      (value) => end(() => resolve(value)),
      (error: unknown) => end(() => reject(error)),
    );
  });
}
