import { createHash } from 'node:crypto';
import type { Tally } from '../../data/tally.js';
import type { PromptRow } from '../rows.js';

/**
 * At most `size` of the prompts, in their order, by the rank of a hash of seed and id; so what is drawn depends on
 * nothing but the edge on what else there is. The others are dropped. All of them are in memory.
 */
export async function* drawPrompts(
  prompts: Iterable<PromptRow> | AsyncIterable<PromptRow>,
  { size, seed }: { size: number; seed: number },
  tally: Tally,
  reason = 'not-drawn',
): AsyncGenerator<PromptRow> {
  const all: PromptRow[] = [];
  for await (const prompt of prompts) all.push(prompt);
  const rank = ({ id }: PromptRow) => createHash('sha256').update(`${seed} prompt ${id}`).digest('hex');
  const ranked = all.map((prompt) => ({ prompt, rank: rank(prompt) }));
  ranked.sort((a, b) => (a.rank < b.rank ? -1 : 1));
  const drawn = new Set(ranked.slice(0, size).map(({ prompt }) => prompt));
  for (const prompt of all) {
    if (drawn.has(prompt)) yield prompt;
    else tally.drop({ id: prompt.id, reason, user: prompt.user });
  }
}
