/** Preference pairs from rewrites, filtered, and the same for the baselines of section 3.3 and Figure 4. */
import type { PreferencePair } from '../../data/pairs.js';
import type { RewriteRow } from '../rows.js';
import type { StageContext } from '../stage.js';
import { makePairs, type PairSettings } from './make-pairs.js';

/**
 * A pair for each rewrite that passes the quality filter: the rewrite preferred over the original, under the context
 * before both, with the persona, and `scores` where there is a scorer. `id` is that of the rewrite's row. See
 * {@link filterPairs} for the filter and its books.
 *
 * Baselines by options alone: `persona: false` leaves the personas out of the same pairs, `filter: false` takes all,
 * `users` and `size` draw pairs of few users or an equal number (those not drawn are dropped as `not-drawn`; all pairs
 * are in memory then, as they are with `order: 'time'`). Rewrites from scratch come from `rewriteAnswers` with
 * `source: 'scratch'`; supervised training on the chosen answers is `train` with `lossType: 'sft'` on the same pairs.
 *
 * @throws ConfigError for options that cannot be used and a draw that is impossible, and whatever the scorer throws
 */
export function pairsFromRewrites(
  rows: Iterable<RewriteRow> | AsyncIterable<RewriteRow>,
  settings: PairSettings,
  context: StageContext,
): AsyncGenerator<PreferencePair & { id: string }> {
  return makePairs({ rewrites: rows }, settings, { rewrites: context, rankings: context });
}
