/** Final answers as PRM800K has them. */

/** How PRM800K's solutions of the second phase end: a heading and the answer. */
const ANSWER_HEADING = /(?:^|\n)[ \t]*#[ \t]*Answer[ \t]*\n+([\s\S]*)$/;

/** A step's text, and the final answer that stands below it under PRM800K's heading. */
export function splitAnswer(text: string): { text: string; answer?: string } {
  const heading = ANSWER_HEADING.exec(text);
  const answer = heading?.[1]?.trim();
  if (heading === null || answer === undefined || answer === '') return { text: text.trim() };
  return { text: text.slice(0, heading.index).trim(), answer };
}
