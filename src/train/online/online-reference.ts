/** The reference of an online run: its log-probabilities are computed for each step's pairs as they come. */

import type { TokenizedPair } from '../../data/tokenize.js';
import { loadAdapter } from '../../models/adapter-files.js';
import type { HubOptions } from '../../models/hub-options.js';
import { type LoadedModel, loadModel } from '../../models/load-model.js';
import { pairLogps } from '../pair-logps.js';
import type { PairLogps } from '../preference-pass.js';
import { checkVocabulary } from '../run-reference.js';
import type { ResolvedOnlineTrainOptions } from './options.js';

export interface OnlineReference {
  /** In the order of the pairs. */
  logps(pairs: readonly TokenizedPair[]): Promise<PairLogps[]>;
  dispose(): void;
}

type ReferenceOptions = Pick<
  ResolvedOnlineTrainOptions,
  'model' | 'referenceModel' | 'referenceAdapter' | 'usePeft' | 'dtype' | 'xla'
>;

/**
 * Under LoRA the policy's own base model without its adapter; where all weights are trained a second copy of the model
 * as it was, which takes its memory; another model where one is named. With the reference adapter, where there is one.
 */
export async function openOnlineReference(
  policy: LoadedModel,
  { model, referenceModel, referenceAdapter, usePeft, dtype, xla }: ReferenceOptions,
  { tokenBudget, hub }: { tokenBudget: number; hub: HubOptions },
): Promise<OnlineReference> {
  const own = usePeft && referenceModel === null;
  const loaded = own ? policy : await loadModel(referenceModel ?? model, { dtype, xla, hub });
  const adapter = referenceAdapter === null ? null : loadAdapter(referenceAdapter, loaded.model.config);
  return {
    async logps(pairs) {
      if (referenceModel !== null) {
        checkVocabulary(referenceModel, loaded.model.config.vocabSize, pairs);
      }
      const all: PairLogps[] = [];
      for await (const { chosenLogps, rejectedLogps } of pairLogps(loaded.model, pairs, {
        adapter,
        tokenBudget,
      })) {
        all.push({ chosen: chosenLogps, rejected: rejectedLogps });
      }
      return all;
    },
    dispose() {
      adapter?.dispose();
      if (!own) loaded.dispose();
    },
  };
}
