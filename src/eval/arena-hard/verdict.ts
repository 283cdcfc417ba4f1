/** The five verdicts of Arena-Hard, and how they are read. */
import type { Reading } from '../../pairs/judge/verdict.js';

export const ARENA_VERDICTS = ['A>>B', 'A>B', 'A=B', 'B>A', 'B>>A'] as const;
export type ArenaVerdict = (typeof ARENA_VERDICTS)[number];

/** The same verdict may be written from either side. */
const WRITTEN: Readonly<Record<string, ArenaVerdict>> = {
  'A>>B': 'A>>B',
  'B<<A': 'A>>B',
  'A>B': 'A>B',
  'B<A': 'A>B',
  'A=B': 'A=B',
  'B=A': 'A=B',
  'B>A': 'B>A',
  'A<B': 'B>A',
  'B>>A': 'B>>A',
  'A<<B': 'B>>A',
};

/**
 * The verdict of a judgment: what stands in double brackets, else in single ones. Several count where all say the same;
 * none, one that is none of the five, and different ones are problems.
 */
export function readArenaVerdict(judgment: string): Reading<ArenaVerdict> {
  const double = [...judgment.matchAll(/\[\[([AB<>=]+)\]\]/g)];
  const found = double.length > 0 ? double : [...judgment.matchAll(/\[([AB<>=]+)\]/g)];
  const written = [...new Set(found.map((match) => match[1] as string))];
  if (written.length === 0) return { problem: 'there is no verdict in double brackets in the judgment' };
  const unknown = written.find((each) => !Object.hasOwn(WRITTEN, each));
  if (unknown !== undefined) {
    return { problem: `[[${unknown}]] is none of the verdicts ${ARENA_VERDICTS.join(', ')}` };
  }
  const [verdict, ...others] = new Set(written.map((each) => WRITTEN[each] as ArenaVerdict));
  return verdict === undefined || others.length > 0
    ? { problem: `the judgment has several verdicts: ${written.join(', ')}` }
    : { answer: verdict };
}
