/** Which words two answers share: what is marked in them is what they do not. */

export interface DiffPart {
  text: string;
  /** Whether the other text has it in the same place. */
  shared: boolean;
}

export interface WordDiff {
  /** The first text in parts. */
  before: DiffPart[];
  /** The second. */
  after: DiffPart[];
  /** Shared words as a share of all words of both, 0 to 1. */
  likeness: number;
}

/** Changes beyond which two texts are taken for different altogether: work grows with their square. */
const MOST_CHANGES = 2500;
/** Words in between two changes that are too few to be told apart by a reader. */
const FEW_WORDS = 2;

/**
 * The words of two texts that a longest common subsequence leaves out (Myers, "An O(ND) Difference Algorithm and Its
 * Variations", 1986), with shared runs of one or two words between changes counted as changed, so that what is marked
 * reads in one piece. Space goes with the word behind it.
 */
export function diffWords(before: string, after: string): WordDiff {
  const [a, b] = [wordsOf(before), wordsOf(after)];
  const numbers = new Map<string, number>();
  const numbered = (words: readonly string[]) =>
    Int32Array.from(words, (word) => numberOf(word.trim(), numbers));
  const pairs = calm(commonWords(numbered(a), numbered(b)), a.length, b.length);
  return {
    before: partsOf(a, new Set(pairs.map(([i]) => i))),
    after: partsOf(b, new Set(pairs.map(([, j]) => j))),
    likeness: a.length + b.length === 0 ? 1 : (2 * pairs.length) / (a.length + b.length),
  };
}

const SINGLE = String.raw`[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]`;
const WORD = new RegExp(String.raw`\s*(?:${SINGLE}|(?:(?!${SINGLE})[\p{L}\p{M}\p{N}_'’])+|\S)|\s+$`, 'gu');

/** Words with the space before them; punctuation by itself; scripts without spaces by character. */
function wordsOf(text: string): string[] {
  return text.match(WORD) ?? [];
}

function numberOf(word: string, numbers: Map<string, number>): number {
  const known = numbers.get(word);
  if (known !== undefined) return known;
  numbers.set(word, numbers.size);
  return numbers.size - 1;
}

type Pair = readonly [number, number];

/** Pairs of indices of words that stand in both, ascending; none where the texts are too different. */
function commonWords(a: Int32Array, b: Int32Array): Pair[] {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const head = Array.from({ length: start }, (_, i): Pair => [i, i]);
  const tail = Array.from({ length: end }, (_, i): Pair => [a.length - end + i, b.length - end + i]);
  const middle = shortestScript(a.subarray(start, a.length - end), b.subarray(start, b.length - end));
  return [...head, ...middle.map(([i, j]): Pair => [i + start, j + start]), ...tail];
}

function shortestScript(a: Int32Array, b: Int32Array): Pair[] {
  const most = Math.min(a.length + b.length, MOST_CHANGES);
  const offset = most + 1;
  const furthest = new Int32Array(2 * most + 3);
  const trace: Int32Array[] = [];
  for (let changes = 0; changes <= most; changes++) {
    trace.push(furthest.slice(offset - changes - 1, offset + changes + 2));
    for (let k = -changes; k <= changes; k += 2) {
      const [down, right] = [furthest[offset + k + 1] as number, furthest[offset + k - 1] as number];
      let x = k === -changes || (k !== changes && right < down) ? down : right + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      furthest[offset + k] = x;
      if (x >= a.length && x - k >= b.length) return walkBack(trace, a.length, b.length);
    }
  }
  return [];
}

/** The shared words on the way that led to the end. */
function walkBack(trace: readonly Int32Array[], aLength: number, bLength: number): Pair[] {
  const pairs: Pair[] = [];
  let [x, y] = [aLength, bLength];
  for (let changes = trace.length - 1; changes >= 0; changes--) {
    const row = trace[changes] as Int32Array;
    const at = (k: number) => row[k + changes + 1] as number;
    const k = x - y;
    const fromK = k === -changes || (k !== changes && at(k - 1) < at(k + 1)) ? k + 1 : k - 1;
    const fromX = changes === 0 ? 0 : at(fromK);
    const fromY = changes === 0 ? 0 : fromX - fromK;
    while (x > fromX && y > fromY) {
      x--;
      y--;
      pairs.push([x, y]);
    }
    [x, y] = [fromX, fromY];
  }
  return pairs.reverse();
}

/** Leaves out runs of shared words that are short and lie between changes. */
function calm(pairs: readonly Pair[], aLength: number, bLength: number): Pair[] {
  const runs: Pair[][] = [];
  for (const pair of pairs) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    if (run !== undefined && last !== undefined && pair[0] === last[0] + 1 && pair[1] === last[1] + 1)
      run.push(pair);
    else runs.push([pair]);
  }
  return runs
    .filter((run) => {
      const [first, last] = [run[0] as Pair, run.at(-1) as Pair];
      const atBeginning = first[0] === 0 && first[1] === 0;
      const atEnd = last[0] === aLength - 1 && last[1] === bLength - 1;
      return run.length > FEW_WORDS || atBeginning || atEnd;
    })
    .flat();
}

function partsOf(words: readonly string[], shared: ReadonlySet<number>): DiffPart[] {
  const parts: DiffPart[] = [];
  words.forEach((word, i) => {
    const last = parts.at(-1);
    if (last !== undefined && last.shared === shared.has(i)) last.text += word;
    else parts.push({ text: word, shared: shared.has(i) });
  });
  return parts;
}
