import { letterOf } from './problem.js';

/**
 * The letter that a response chooses, by the rules of MMLU-Pro's evaluation (Wang et al. 2024): the first `answer is (X)`,
 * else the last `Answer: X` of the first line that has one, else the last letter that stands by itself; undefined where
 * there is none. MMLU-Pro then guesses at random; here such a response counts as wrong.
 *
 * @param letters How many letters there are. Default 10, A to J
 */
export function choiceAnswer(response: string, letters = 10): string | undefined {
  const any = `[A-${letterOf(letters - 1)}]`;
  const said = new RegExp(`answer is \\(?(${any})\\)?`).exec(response)?.[1];
  return said ?? labelled(response, any) ?? response.match(new RegExp(`\\b${any}\\b`, 'g'))?.at(-1);
}

function labelled(response: string, any: string): string | undefined {
  let found: { letter: string; end: number } | undefined;
  for (const match of response.matchAll(new RegExp(`[aA]nswer:\\s*(${any})`, 'g'))) {
    if (found !== undefined && response.slice(found.end, match.index).includes('\n')) break;
    found = { letter: match[1] as string, end: match.index + match[0].length };
  }
  return found?.letter;
}
