/** Rows in groups, for stages that ask about many at once and again about some. */

/** The items in groups of `size`, the last one of what is left. */
export async function* windows<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  size: number,
): AsyncGenerator<Item[]> {
  let window: Item[] = [];
  for await (const item of items) {
    window.push(item);
    if (window.length < size) continue;
    yield window;
    window = [];
  }
  if (window.length > 0) yield window;
}
