import { withInterrupt } from './interrupt.js';
import { createProgress, type Progress } from './progress.js';

/** Shows an evaluation while it works; the first Ctrl-C stops it, and the replies that came are kept. */
export async function withEvaluationProgress(
  work: (progress: Progress, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const progress = createProgress();
  await withInterrupt(
    (signal) => work(progress, signal),
    () => progress.line('Stopping; replies are kept, the same command again goes on from here.'),
  ).finally(() => progress.end());
}
