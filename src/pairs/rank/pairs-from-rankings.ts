/** Preference pairs from ranked candidates (section 2.4), filtered. */
import type { PreferencePair } from '../../data/pairs.js';
import { makePairs, type PairSettings } from '../filter/make-pairs.js';
import type { RankingRow } from '../rows.js';
import type { StageContext } from '../stage.js';

/**
 * A pair for each prompt whose candidates pass: the highest reward preferred over the lowest (Equation 2), with the
 * persona and both rewards as `scores`. `id` is that of the prompt, `source` says which rewards decided. See
 * {@link makePairs}, which also mixes them with pairs of rewrites.
 *
 * @throws ConfigError for options that cannot be used and a draw that is impossible
 */
export function pairsFromRankings(
  rows: Iterable<RankingRow> | AsyncIterable<RankingRow>,
  settings: Omit<PairSettings, 'scorer'>,
  context: StageContext,
): AsyncGenerator<PreferencePair & { id: string }> {
  return makePairs({ rankings: rows }, settings, { rewrites: context, rankings: context });
}
