/** The analysis of data (section 2.2, Table 1, Figure 5): what users say, how diverse it is, what they want. */

import type { Counts } from '../../data/tally.js';
import { DataError } from '../../errors.js';
import { checkOptions } from '../../pairs/check-options.js';
import type { ClassificationStatistics } from '../../pairs/classify/statistics.js';
import type { ContextSet } from './contexts.js';
import type { DimensionShares } from './dimension-shares.js';
import { type Diversity, diversity } from './diversity.js';
import type { Embedder } from './embedder.js';
import { embeddingMap } from './embedding-map.js';
import { type AnalysisOptions, analysisOptionsSchema } from './options.js';

/** A context on the map. */
export interface MapPoint {
  set: string;
  x: number;
  y: number;
}

/** How diverse the contexts of one set are. */
export interface SetDiversity {
  set: string;
  /** Contexts of the set, of which `diversity.contexts` were drawn. */
  available: number;
  diversity: Diversity;
}

export interface ContextAnalysis {
  /** What embedded the contexts. */
  embedder: string;
  sets: SetDiversity[];
  map: MapPoint[];
}

/** What is known of user messages, without the users one by one. */
export type MessageAnalysis = Omit<ClassificationStatistics, 'byUser'> & {
  /** Whether follow-ups were told apart by their kinds. */
  classified: boolean;
};

/** What was found; a part for which there were no data is null. */
export interface DataAnalysis {
  messages: MessageAnalysis | null;
  contexts: ContextAnalysis | null;
  dimensions: { method: string; personas: number; shares: DimensionShares[]; verdicts: Counts | null } | null;
}

export interface ContextContext {
  signal?: AbortSignal;
  onProgress?: (what: 'embedding' | 'map', done: number, total: number) => void;
}

/**
 * Embeds the contexts of each set, and says how far apart they are, with a map of all sets.
 *
 * @throws DataError for a set with fewer than two contexts; and what `embedder` throws
 */
export async function analyzeContexts(
  sets: readonly ContextSet[],
  embedder: Embedder,
  input: AnalysisOptions,
  { signal, onProgress }: ContextContext = {},
): Promise<ContextAnalysis> {
  const { resamples, neighbors, seed } = checkOptions(analysisOptionsSchema, input, 'analyze');
  for (const { name, contexts } of sets) {
    if (contexts.length >= 2) continue;
    throw new DataError(`${name} has ${contexts.length} contexts: two at least are needed to be compared.`);
  }
  const texts = sets.flatMap(({ contexts }) => contexts);
  const calls = signal === undefined ? {} : { signal };
  const vectors = await embedder.embed(texts, {
    ...calls,
    onProgress: (done, total) => onProgress?.('embedding', done, total),
  });
  let first = 0;
  const found = sets.map(({ name: set, available, contexts }) => {
    const own = vectors.slice(first, first + contexts.length);
    first += contexts.length;
    return { set, available, diversity: diversity(own, { resamples, seed }) };
  });
  const places = await embeddingMap(vectors, {
    ...{ neighbors, seed },
    ...calls,
    onProgress: (done, total) => onProgress?.('map', done, total),
  });
  const names = sets.flatMap(({ name, contexts }) => contexts.map(() => name));
  const map = places.map(([x, y], i) => ({ set: names[i] as string, x: rounded(x), y: rounded(y) }));
  return { embedder: embedder.identity, sets: found, map };
}

function rounded(value: number): number {
  return Number(value.toFixed(4));
}
