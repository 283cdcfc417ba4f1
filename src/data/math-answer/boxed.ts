/** What stands in `\boxed{}`. */

export interface Boxed {
  content: string;
  /** Of the text: where the box begins, and the first place behind it. */
  start: number;
  end: number;
}

const BOX = /\\(?:boxed|fbox)\s*(?=\{)/g;

/** The boxes of a text from the first to the last, those within others left out; a box that is not closed goes to the end. */
export function boxesIn(text: string): Boxed[] {
  const boxes: Boxed[] = [];
  BOX.lastIndex = 0;
  for (let match = BOX.exec(text); match !== null; match = BOX.exec(text)) {
    const first = match.index + match[0].length + 1;
    const last = closingBrace(text, first);
    const end = last === -1 ? text.length : last;
    boxes.push({ content: text.slice(first, end).trim(), start: match.index, end: end + 1 });
    BOX.lastIndex = end;
  }
  return boxes;
}

/** What stands in the last `\boxed{}` of a text that is closed, braces matched; undefined where there is none. */
export function boxedAnswer(text: string): string | undefined {
  const start = text.lastIndexOf('\\boxed{');
  if (start === -1) return undefined;
  const first = start + '\\boxed{'.length;
  const end = closingBrace(text, first);
  return end === -1 ? undefined : text.slice(first, end).trim();
}

/** Where the brace closes that was opened before `start`; -1 where it does not. */
export function closingBrace(text: string, start: number): number {
  let depth = 1;
  for (let i = start; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '{') depth++;
    else if (text[i] === '}' && --depth === 0) return i;
  }
  return -1;
}
