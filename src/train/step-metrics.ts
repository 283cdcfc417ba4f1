/** Metrics by TRL's names, out of what passes return. */

import { preferenceMetrics } from '../losses/preference-metrics.js';
import type { Metrics } from './events.js';
import type { PassResult, TokenStatistics } from './preference-pass.js';

/**
 * `loss`, `rewards/*`, `logps/*`, and from a training pass `logits/*`, `entropy` and `mean_token_accuracy`: of one
 * micro-batch, as TRL 1.13 computes them. Entropy is over all completion tokens, the accuracy over chosen ones.
 */
export function passMetrics({ loss, pairs, statistics }: PassResult): Record<string, number> {
  const pick = (name: keyof PassResult['pairs'][number]) => pairs.map((pair) => pair[name]);
  const preference = preferenceMetrics({
    chosenRewards: pick('chosenReward'),
    rejectedRewards: pick('rejectedReward'),
    chosenLogps: pick('chosenLogp'),
    rejectedLogps: pick('rejectedLogp'),
  });
  return { loss, ...preference, ...(statistics && tokenMetrics(statistics)) };
}

function tokenMetrics({ entropy, correct, meanLogits, count }: TokenStatistics): Record<string, number> {
  return {
    'logits/chosen': meanLogits[0] / count[0],
    'logits/rejected': meanLogits[1] / count[1],
    entropy: entropy / (count[0] + count[1]),
    mean_token_accuracy: correct / count[0],
  };
}

/** The mean of each metric over several rows (those that have it), as TRL averages micro-batches and steps. */
export function meanMetrics(rows: readonly Metrics[]): Record<string, number> {
  const sums = new Map<string, { sum: number; count: number }>();
  for (const row of rows) {
    for (const [name, value] of Object.entries(row)) {
      const entry = sums.get(name) ?? { sum: 0, count: 0 };
      sums.set(name, { sum: entry.sum + value, count: entry.count + 1 });
    }
  }
  return Object.fromEntries([...sums].map(([name, { sum, count }]) => [name, sum / count]));
}

/** The mean over all pairs of several passes: what an evaluation reports, `eval_` before each name. */
export function evaluationMetrics(passes: readonly PassResult[]): Record<string, number> {
  const pairs = passes.flatMap((pass) => pass.pairs);
  const weighted = passes.reduce((sum, pass) => sum + pass.loss * pass.pairs.length, 0);
  const all = passMetrics({ loss: weighted / pairs.length, pairs, statistics: null, packedTokens: 0 });
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [`eval_${name}`, value]));
}
