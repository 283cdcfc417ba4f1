/**
 * The `size` items of the smallest ranks, in the order in which they came; `onLeftOut` gets the others. At most twice
 * as many are in memory at a time.
 */
export async function sampleSmallest<Item>(
  items: AsyncIterable<Item>,
  size: number,
  rankOf: (item: Item) => string,
  onLeftOut: (item: Item) => void,
): Promise<Item[]> {
  let kept: { item: Item; rank: string; order: number }[] = [];
  let order = 0;
  const cut = () => {
    kept.sort((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : a.order - b.order));
    for (const { item } of kept.slice(size)) onLeftOut(item);
    kept = kept.slice(0, size);
  };
  for await (const item of items) {
    kept.push({ item, rank: rankOf(item), order: order++ });
    if (kept.length >= 2 * size) cut();
  }
  cut();
  return kept.sort((a, b) => a.order - b.order).map(({ item }) => item);
}
