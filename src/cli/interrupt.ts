import { EXIT_INTERRUPTED } from './exit-codes.js';

/**
 * Runs `work` with a signal that the first Ctrl-C (or SIGTERM) aborts, after telling the user `onFirst`. A second
 * one ends the process at once. Afterwards Ctrl-C does again what it did before.
 */
export async function withInterrupt<T>(
  work: (signal: AbortSignal) => Promise<T>,
  onFirst: () => void,
): Promise<T> {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED);
    controller.abort();
    onFirst();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  try {
    return await work(controller.signal);
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}
