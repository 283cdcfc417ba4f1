/** A reward model whose rewards are kept, so that a run that is started again scores nothing twice. */

import { createHash } from 'node:crypto';
import type { RewardModel, ScoreCallOptions, ScoreRequest } from './reward-model.js';
import { openRewardStore, type RewardStore } from './reward-store.js';

/** To be raised when what scores depend on changes: kept rewards are then not used. */
const CACHE_VERSION = 1;

/**
 * Puts a cache in front of a reward model. A reward is kept under a hash (SHA-256) of all that determines it: the
 * model's identity (its files, recipe, tokenizer, templates, execution provider), the conversation, the persona, the
 * candidate. Of a request only those candidates are asked that are not kept, each once.
 *
 * Rewards are given when they are safe on the disk. `dispose` disposes `model`, and closes a store given as a path.
 *
 * @param store Path of a file (see `openRewardStore`), or a store
 */
export function withRewardCache(model: RewardModel, store: string | RewardStore): RewardModel {
  const rewards = typeof store === 'string' ? openRewardStore(store) : store;
  let cached = 0;
  return {
    identity: model.identity,
    executionProvider: model.executionProvider,
    async score(request, options) {
      const keys = request.candidates.map((candidate) => keyOf(model.identity, request, candidate));
      const kept = keys.map((key) => rewards.get(key));
      const asked = await askMissing(model, request, kept, options);
      const fresh = [...asked].map(([candidate, reward]) => {
        return [keyOf(model.identity, request, candidate), reward] as const;
      });
      if (fresh.length > 0) await rewards.put(fresh);
      cached += kept.filter((reward) => reward !== undefined).length;
      return request.candidates.map((candidate, i) => kept[i] ?? (asked.get(candidate) as number));
    },
    usage: () => ({ ...model.usage(), cached }),
    async dispose() {
      await model.dispose();
      if (typeof store === 'string') await rewards.close();
    },
  };
}

/** Rewards of the candidates that are not kept, by their texts. */
async function askMissing(
  model: RewardModel,
  request: ScoreRequest,
  kept: readonly (number | undefined)[],
  options: ScoreCallOptions | undefined,
): Promise<Map<string, number>> {
  const missing = [...new Set(request.candidates.filter((_, i) => kept[i] === undefined))];
  // A request without candidates is the model's to refuse.
  if (missing.length === 0 && request.candidates.length > 0) return new Map();
  const scores = await model.score({ ...request, candidates: missing }, options);
  return new Map(missing.map((candidate, i) => [candidate, scores[i] as number]));
}

function keyOf(identity: string, { prompt, persona }: ScoreRequest, candidate: string): Buffer {
  const messages = prompt.map(({ role, content }) => [role, content]);
  // An empty persona is none: the template is not used for it.
  const known = persona?.trim() || null;
  return createHash('sha256')
    .update(JSON.stringify([CACHE_VERSION, identity, messages, known, candidate]))
    .digest();
}
