/**
 * How much of an answer is looked into. Answers come from language models, which may write anything: with these limits
 * the work on one is bounded, whatever it says. What is beyond them is compared as it is written.
 */

/** Longer answers are not read as mathematics. The longest in the benchmarks have some 300 characters. */
export const MAX_ANSWER_CHARACTERS = 2000;
/** Of a response only the end is searched for an answer. */
export const MAX_SEARCHED_CHARACTERS = 50_000;
/** Brackets, groups, powers and the like within one another. */
export const MAX_DEPTH = 50;
/** Elements of a list, set, tuple or of all sets together, and choices of signs. */
export const MAX_ITEMS = 64;
/** Of the numerator and denominator of an exact number: enough for 2025^2025. */
export const MAX_BITS = 1 << 15;
/** Of numbers whose factorials and binomials are exact. */
export const MAX_FACTORIAL = 1000;
/** Steps of evaluating one expression at one point; each takes about a microsecond. */
export const MAX_STEPS = 5000;
/** Steps of one comparison, over all readings, points and elements. */
export const MAX_COMPARISON_STEPS = 100_000;
