import { createRandom } from '../../src/data/random.js';
import type { TokenizedPair } from '../../src/data/tokenize.js';

/** Pairs of random ids below 256: prompts of 4 to 15 tokens, responses of 1 to 9. */
export function randomPairs(count: number, seed = 1): TokenizedPair[] {
  const random = createRandom(seed);
  const ids = (length: number) => Array.from({ length }, () => random.int(256));
  return Array.from({ length: count }, (_, i) => ({
    id: `pair-${seed}-${i}`,
    promptIds: ids(4 + random.int(12)),
    chosenIds: ids(1 + random.int(9)),
    rejectedIds: ids(1 + random.int(9)),
  }));
}
