/** The points of a persona in a model's reply. */
import type { ChatReply } from '../../llm/chat-model.js';
import type { Reading } from '../judge/verdict.js';
import { refusalIn } from '../refusals.js';
import { isEmptyReply, withoutReasoning } from '../reply-text.js';

/** Section 2.2's personas have up to five points. */
export const MAX_POINTS = 5;
/** A longer point is an essay; what is behind its last whole sentence (else word) within this is cut off. */
const MAX_POINT_CHARACTERS = 400;

const BULLET = /^(\s*)(?:[-*•–—▪◦‣+]|\(?\d{1,2}[.):]|\(?[a-e][.)])\s+(?=\S)/;
/** What a model says about its answer rather than in it. */
const COMMENTARY =
  /^(?:(?:sure|certainly|of course|okay|ok|here(?:'s| is| are)|based on|below (?:is|are)|the following|these (?:are|points)|let me|i hope|please let|note(?: that)?[:,]|in summary|overall,|in conclusion)\b|.*:$)/i;
const NOTHING =
  /^(?:none|n\/a|no (?:clear |particular |specific |stated |discernible )?preferences?\b.{0,60}|not enough .{0,80}|nothing .{0,60})[.!]?$/i;

/**
 * The persona in a reply, one `- ` point a line, at most {@link MAX_POINTS}. Bullets and numbers, Markdown, headings,
 * introductions and closing remarks are taken off, repeats dropped; points below a point are joined to it. Of a reply
 * that was cut at its most tokens, the last point goes where there are others.
 *
 * Problems: an empty reply, a refusal, no point, and none that says anything.
 */
export function readPersona({
  text,
  finishReason,
}: Pick<ChatReply, 'text' | 'finishReason'>): Reading<string> {
  const said = withoutReasoning(text);
  if (isEmptyReply(said)) return { problem: 'the reply is empty' };
  const refusal = refusalIn(said);
  if (refusal !== undefined) return { problem: `the model refused: ${JSON.stringify(refusal)}` };
  const all = pointsOf(said)
    .map(cleaned)
    .filter((point) => !isEmptyReply(point));
  const whole = finishReason === 'length' && all.length > 1 ? all.slice(0, -1) : all;
  const telling = whole.filter((point) => !NOTHING.test(point));
  const points = withoutRepeats(telling).slice(0, MAX_POINTS);
  if (points.length > 0) return { answer: points.map((point) => `- ${shortened(point)}`).join('\n') };
  return {
    problem: whole.length > 0 ? 'the reply names no preference' : 'there is no point in the reply',
  };
}

/** Lines of bullets where there are any, else all lines that are no commentary. */
function pointsOf(text: string): string[] {
  const lines = text
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '' && !/^\s*(?:#{1,6}\s|```|---+\s*$)/.test(line));
  const outermost = Math.min(...lines.map((line) => BULLET.exec(line)?.[1]?.length ?? Infinity));
  if (outermost === Infinity) return lines.filter((line) => !COMMENTARY.test(bare(line)));
  const points: string[] = [];
  for (const line of lines) {
    const bullet = BULLET.exec(line);
    const rest = bullet === null ? line.trim() : line.slice(bullet[0].length).trim();
    const indent = bullet?.[1]?.length ?? /^\s*/.exec(line)?.[0].length ?? 0;
    if (bullet !== null && indent <= outermost) points.push(rest);
    else if (points.length > 0 && indent > outermost) {
      const point = points.pop() as string;
      const mark = bullet === null || /[:;.!?,]$/.test(bare(point)) ? ' ' : '; ';
      points.push(`${point}${mark}${rest}`);
    }
  }
  return points;
}

function cleaned(point: string): string {
  return bare(point).replace(/\s+/g, ' ').trim();
}

/** Without Markdown's emphasis and code marks, and without quotation marks around the whole. */
function bare(text: string): string {
  const plain = text
    .trim()
    .replace(/(\*\*|__)(?=\S)(.*?\S)\1/g, '$2')
    .replace(/(?<!\w)([*_`])(?=\S)([^*_`]*\S)\1(?!\w)/g, '$2');
  return /^["“][^"“”]*["”]$/.test(plain) ? plain.slice(1, -1) : plain;
}

function withoutRepeats(points: readonly string[]): string[] {
  const seen = new Set<string>();
  return points.filter((point) => {
    const key = point
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, ' ')
      .trim();
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

function shortened(point: string): string {
  if (point.length <= MAX_POINT_CHARACTERS) return point;
  const beginning = point.slice(0, MAX_POINT_CHARACTERS);
  const sentence = /^.*[.!?](?=\s|$)/.exec(beginning)?.[0];
  return sentence ?? `${beginning.slice(0, Math.max(beginning.lastIndexOf(' '), 1)).trimEnd()}...`;
}
