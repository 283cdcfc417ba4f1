/** Long messages cut in the middle, so that they fit beside others. */

/** More characters than this a token never has in texts that people write; saves counting what is far too long. */
const MAX_CHARACTERS_PER_TOKEN = 16;
/** Of what is kept so much is the beginning: there the request stands most often, at the end next often. */
const HEAD_SHARE = 0.6;

/**
 * The text where it has at most `maxTokens`, else its beginning and its end with the number of characters between
 * them, cut between words where there are any. Never cuts a character in two.
 *
 * @param countTokens Must not fall when a text grows
 */
export function shortenMiddle(
  text: string,
  maxTokens: number,
  countTokens: (text: string) => number,
): string {
  if (text.length <= maxTokens * MAX_CHARACTERS_PER_TOKEN && countTokens(text) <= maxTokens) return text;
  let fits = 0;
  let tooMany = Math.min(text.length, maxTokens * MAX_CHARACTERS_PER_TOKEN + 1);
  while (tooMany - fits > 1) {
    const kept = (fits + tooMany) >> 1;
    if (countTokens(withoutMiddle(text, kept)) <= maxTokens) fits = kept;
    else tooMany = kept;
  }
  return withoutMiddle(text, fits);
}

/** At most `kept` characters of the text, and how many are left out between them. */
function withoutMiddle(text: string, kept: number): string {
  const head = Math.ceil(kept * HEAD_SHARE);
  const start = wordEnd(text, head);
  const end = wordStart(text, text.length - (kept - head));
  const beginning = text.slice(0, start).trimEnd();
  const ending = text.slice(end).trimStart();
  const mark = `[... ${text.length - beginning.length - ending.length} characters left out ...]`;
  return [beginning, mark, ending].filter((part) => part !== '').join(' ');
}

/** The last place between two words up to `index`, else between two characters. */
function wordEnd(text: string, index: number): number {
  const space = text.lastIndexOf(' ', index);
  if (space > index / 2) return space;
  return isSecondHalf(text, index) ? index - 1 : index;
}

/** The first place between two words from `index` on, else between two characters. */
function wordStart(text: string, index: number): number {
  const space = text.indexOf(' ', index);
  if (space !== -1 && space - index < (text.length - index) / 2) return space + 1;
  return isSecondHalf(text, index) ? index + 1 : index;
}

/** Whether cutting before `index` would part the halves of a surrogate pair. */
function isSecondHalf(text: string, index: number): boolean {
  const unit = text.charCodeAt(index);
  return index > 0 && unit >= 0xdc00 && unit <= 0xdfff;
}
