/** Verdicts that a model gives in a word, `yes` or `[[yes]]`, read strictly. */
import { refusalIn } from '../refusals.js';
import { isEmptyReply, replyText } from '../reply-text.js';

/** What was read in a reply: an answer, or why there is none. */
export type Reading<Answer> =
  | { answer: Answer; problem?: undefined }
  | { answer?: undefined; problem: string };

/** Characters of a reply that a problem quotes. */
const QUOTED = 60;

/**
 * The one verdict of a reply. It counts where the reply is nothing else, or where it stands in double brackets,
 * whatever is said around them. Case, Markdown and hyphens do not matter, and neither does reasoning between tags. A verdict
 * that is only spoken of in a sentence, two different ones, and words that are no verdict are problems.
 *
 * @param words What stands for each verdict
 */
export function readVerdict<Verdict extends string>(
  reply: string,
  words: Readonly<Record<Verdict, readonly string[]>>,
): Reading<Verdict> {
  const text = replyText(reply);
  if (isEmptyReply(text)) return { problem: 'the reply is empty' };
  const bracketed = [...text.matchAll(/\[\[([^[\]]*)\]\]/g)].map((match) => match[1] as string);
  const given = bracketed.length > 0 ? bracketed : [text];
  const verdicts = new Set<Verdict>();
  for (const each of given) {
    const verdict = verdictOf(each, words);
    if (verdict === undefined) return { problem: noVerdict(text, bracketed.length > 0 ? each : undefined) };
    verdicts.add(verdict);
  }
  const [verdict, ...others] = verdicts;
  return others.length === 0
    ? { answer: verdict as Verdict }
    : { problem: `the reply gives several verdicts: ${[...verdicts].join(', ')}` };
}

function verdictOf<Verdict extends string>(
  text: string,
  words: Readonly<Record<Verdict, readonly string[]>>,
): Verdict | undefined {
  const word = bareWord(text);
  const found = Object.entries<readonly string[]>(words).find(([, all]) =>
    all.some((each) => bareWord(each) === word),
  );
  return found?.[0] as Verdict | undefined;
}

function bareWord(text: string): string {
  return text
    .toLowerCase()
    .replace(/[\s_-]+/g, ' ')
    .replace(/^[^\p{L}]+|[^\p{L}]+$/gu, '');
}

function noVerdict(text: string, bracketed: string | undefined): string {
  if (bracketed !== undefined) return `${quoted(bracketed)} is not one of the verdicts`;
  const refusal = refusalIn(text);
  return refusal === undefined ? `no verdict in ${quoted(text)}` : `the model refused: ${quoted(refusal)}`;
}

function quoted(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return JSON.stringify(line.length > QUOTED ? `${line.slice(0, QUOTED)}...` : line);
}
