/** A sample of rows of which nobody knows how many there are. */

import { createRandom } from '../../data/random.js';

export interface Reservoir<Item> {
  /** In the order in which they came. */
  drawn: Item[];
  /** Items that came. */
  seen: number;
}

/**
 * Draws `count` of the items without replacement, each with the same probability, holding no more than these in memory
 * (Vitter's Algorithm R, 1985). All where there are no more. The same seed and items draw the same.
 */
export async function drawItems<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  count: number,
  seed: number,
): Promise<Reservoir<Item>> {
  const random = createRandom(seed);
  const held: { item: Item; place: number }[] = [];
  let seen = 0;
  for await (const item of items) {
    const entry = { item, place: seen++ };
    if (held.length < count) held.push(entry);
    else {
      const place = random.int(seen);
      if (place < count) held[place] = entry;
    }
  }
  held.sort((a, b) => a.place - b.place);
  return { drawn: held.map(({ item }) => item), seen };
}
