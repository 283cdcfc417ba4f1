/** Replies that say the instruction again in place of following it, as small models do. */

/** So many words in a row are an echo, not chance. */
const WORDS_IN_A_ROW = 10;

/**
 * Words of `instruction`, ten in a row, that `reply` has and `known` (what else the reply may have taken them from) has
 * not; undefined for none. Case and punctuation do not matter.
 */
export function echoOf(instruction: string, reply: string, known: string): string | undefined {
  const [said, elsewhere] = [runsOf(reply), runsOf(known)];
  for (const run of runsOf(instruction)) if (said.has(run) && !elsewhere.has(run)) return run;
  return undefined;
}

function runsOf(text: string): Set<string> {
  const words = text.toLowerCase().match(/[\p{L}\p{M}\p{N}']+/gu) ?? [];
  const runs = new Set<string>();
  for (let i = 0; i + WORDS_IN_A_ROW <= words.length; i++) {
    runs.add(words.slice(i, i + WORDS_IN_A_ROW).join(' '));
  }
  return runs;
}
