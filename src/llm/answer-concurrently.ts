/** Several requests answered at a time, outcomes given as they are ready. */
import { setMaxListeners } from 'node:events';
import type { LlmApiError } from '../errors.js';
import type { Outcome } from './chat-model.js';
import { closeIterator, iteratorOf } from './requests.js';

export type Answer<Reply> =
  | { reply: Reply }
  /** Only this request has no reply. */
  | { error: LlmApiError }
  /** Nothing may be asked any more: what is under way is awaited, then this is thrown. */
  | { last: LlmApiError };

export interface AnswerOptions {
  concurrency: number;
  signal?: AbortSignal | undefined;
}

/**
 * Answers requests, at most `concurrency` at a time; a further one is read when there is room for it. What `answer`
 * throws ends everything at once: the others are aborted. So does ending the iteration early.
 */
export async function* answerConcurrently<Request extends { id: string }, Reply>(
  requests: Iterable<Request> | AsyncIterable<Request>,
  answer: (request: Request, signal: AbortSignal) => Promise<Answer<Reply>>,
  { concurrency, signal }: AnswerOptions,
): AsyncGenerator<Outcome<Reply>, void, void> {
  const iterator = iteratorOf(requests);
  const stop = new AbortController();
  // Every request under way listens several times.
  setMaxListeners(0, stop.signal);
  const ready: Outcome<Reply>[] = [];
  let reading: Promise<void> | undefined;
  let running = 0;
  let count = 0;
  let ended = false;
  let failure: { error: unknown; atOnce: boolean } | undefined;
  let wake = () => {};

  const fail = (error: unknown, atOnce: boolean) => {
    if (failure === undefined || (atOnce && !failure.atOnce)) failure = { error, atOnce };
    if (atOnce) stop.abort(error);
    wake();
  };
  const abort = () => fail(signal?.reason, true);

  const run = async (request: Request, index: number) => {
    const { id } = request;
    try {
      const answered = await answer(request, stop.signal);
      if ('reply' in answered) ready.push({ index, id, reply: answered.reply });
      else if ('error' in answered) ready.push({ index, id, error: answered.error });
      else fail(answered.last, false);
    } catch (error) {
      fail(error, true);
    } finally {
      running--;
      fill();
      wake();
    }
  };
  const read = async () => {
    try {
      const { done, value } = await iterator.next();
      if (done === true) ended = true;
      else if (failure === undefined) {
        running++;
        void run(value, count++);
      }
    } catch (error) {
      fail(error, true);
    } finally {
      reading = undefined;
      fill();
      wake();
    }
  };
  // Outcomes that nobody has taken yet count as well: who is slow to take them is not flooded.
  const fill = () => {
    const room = running < concurrency && ready.length < concurrency;
    if (room && reading === undefined && !ended && failure === undefined) reading = read();
  };

  signal?.addEventListener('abort', abort, { once: true });
  try {
    signal?.throwIfAborted();
    for (;;) {
      fill();
      if (failure?.atOnce) throw failure.error;
      const outcome = ready.shift();
      if (outcome !== undefined) yield outcome;
      else if (running === 0 && failure !== undefined) throw failure.error;
      else if (running === 0 && ended) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    signal?.removeEventListener('abort', abort);
    stop.abort(failure?.error ?? new Error('the iteration was ended'));
    failure ??= { error: undefined, atOnce: true };
    closeIterator(iterator, reading);
  }
}
