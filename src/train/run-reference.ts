/** The reference of a run: which model and adapter it is, and its log-probabilities, computed before training. */

import { join } from 'node:path';
import type { TokenizedPair } from '../data/tokenize.js';
import { ConfigError } from '../errors.js';
import { loadAdapter } from '../models/adapter-files.js';
import type { HubOptions } from '../models/hub-options.js';
import { type LoadedModel, loadModel } from '../models/load-model.js';
import { installHome } from '../runtime/install/location.js';
import type { TrainEvent } from './events.js';
import type { ResolvedTrainOptions } from './options.js';
import { openReferenceLogps, type ReferenceLogps } from './reference-cache.js';

export interface ReferenceRun {
  options: ResolvedTrainOptions;
  onEvent: (event: TrainEvent) => void;
  signal: AbortSignal;
  hub: HubOptions;
}

/**
 * Log-probabilities of all pairs under the reference: another model where one is named, else the policy's own base
 * model before its first step; with the reference adapter where one is named, else without any.
 */
export async function openRunReference(
  { options, onEvent, signal, hub }: ReferenceRun,
  policy: LoadedModel,
  pairs: readonly TokenizedPair[],
  tokenBudget: number,
): Promise<ReferenceLogps> {
  const { referenceModel, referenceAdapter, dtype, xla } = options;
  const own = referenceModel === null;
  const reference = own ? policy : await loadModel(referenceModel, { dtype, xla, hub });
  const adapter = referenceAdapter === null ? null : loadAdapter(referenceAdapter, reference.model.config);
  const cacheDir = options.referenceCache ?? join(installHome(), 'reference-logps');
  try {
    if (!own) checkVocabulary(referenceModel, reference.model.config.vocabSize, pairs);
    onEvent({ type: 'stage', message: 'computing reference log-probabilities' });
    return await openReferenceLogps(reference.model, pairs, {
      cacheDir,
      adapter,
      fingerprint: await reference.fingerprint({ cacheDir }),
      tokenBudget,
      onProgress: (progress) => onEvent({ type: 'reference', ...progress }),
      signal,
    });
  } finally {
    adapter?.dispose();
    if (!own) reference.dispose();
  }
}

/**
 * The policy's token ids mean nothing to a reference with another tokenizer; ids it does not have give that away.
 *
 * @throws ConfigError naming the pair
 */
export function checkVocabulary(name: string, vocabSize: number, pairs: readonly TokenizedPair[]): void {
  for (const { id, promptIds, chosenIds, rejectedIds } of pairs) {
    for (const ids of [promptIds, chosenIds, rejectedIds]) {
      const foreign = ids.find((token) => token >= vocabSize);
      if (foreign === undefined) continue;
      throw new ConfigError(
        `reference_model ${name} has ${vocabSize} tokens, and the policy's tokenizer gives ${foreign} in pair ${id}: ` +
          'the reference must have the same tokenizer as the policy',
      );
    }
  }
}
