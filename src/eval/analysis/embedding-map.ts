/** Contexts of several data sets on one map (Figure 5). */

import { UMAP } from 'umap-js';
import { createRandom } from '../../data/random.js';

export interface EmbeddingMapOptions {
  /** Neighbours of a point that stay near it. Default 15, fewer where there are fewer points. */
  neighbors?: number;
  /** Default 0. */
  seed?: number;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

/** Steps between two looks at the signal: the event loop goes on in between. */
const STEPS_AT_ONCE = 10;

/**
 * Places on a plane so that what is alike lies together (UMAP, McInnes et al. 2018, on the cosine distance). Directions and
 * units have no meaning, and neither have distances between clusters. Of fewer than four vectors there is no map.
 *
 * @param vectors Of length 1
 * @returns `[x, y]` of each; the same seed and vectors give the same map
 */
export async function embeddingMap(
  vectors: readonly Float32Array[],
  { neighbors = 15, seed = 0, signal, onProgress }: EmbeddingMapOptions = {},
): Promise<[number, number][]> {
  if (vectors.length < 4) return [];
  const random = createRandom(seed);
  const umap = new UMAP({
    nComponents: 2,
    nNeighbors: Math.min(neighbors, vectors.length - 1),
    minDist: 0.1,
    distanceFn: cosineDistance,
    random: () => random.float(),
  });
  const epochs = umap.initializeFit(vectors.map((vector) => [...vector]));
  for (let epoch = 0; epoch < epochs; epoch++) {
    umap.step();
    if (epoch % STEPS_AT_ONCE > 0) continue;
    signal?.throwIfAborted();
    onProgress?.(epoch, epochs);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return umap.getEmbedding().map(([x = 0, y = 0]) => [x, y]);
}

/** Of vectors of length 1. */
function cosineDistance(a: readonly number[], b: readonly number[]): number {
  let product = 0;
  for (let i = 0; i < a.length; i++) product += (a[i] as number) * (b[i] as number);
  return 1 - product;
}
