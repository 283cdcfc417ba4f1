import { evaluateAt } from './evaluate.js';
import { MAX_STEPS } from './limits.js';
import { parseAnswer } from './parser.js';
import { readingsOf } from './readings.js';
import { conclusionOf } from './relation.js';
import { pointOf } from './same-expression.js';
import { isClosed } from './syntax.js';

/** The real number that an answer comes to; undefined where it is none, or has variables. Units and names are left out. */
export function numericValue(answer: string): number | undefined {
  for (const reading of readingsOf(answer).reverse()) {
    const parsed = parseAnswer(reading);
    const node = parsed === undefined ? undefined : conclusionOf(parsed);
    if (node === undefined || !isClosed(node)) continue;
    const value = evaluateAt(node, pointOf(0, 1), { left: MAX_STEPS })?.value;
    if (value !== undefined && !Array.isArray(value) && value.im === 0 && Number.isFinite(value.re))
      return value.re;
  }
  return undefined;
}
