/** What personas want, by words that they hold: for when there is no judge. It finds less, and is coarse. */

import {
  type DimensionName,
  type PersonaWishes,
  PREFERENCE_DIMENSIONS,
  type UserPersona,
  type Wish,
} from './preference-dimensions.js';

interface WordRules {
  first: RegExp;
  second: RegExp;
}

/** English words, in our own choice. */
const RULES: Readonly<Record<DimensionName, WordRules>> = {
  expertise: {
    first:
      /\b(beginner|novice|layman|lay(?:person| terms)|newcomer|simple (?:words|language|terms|explanations?)|plain (?:words|language|english)|easy to understand|from (?:the start|scratch)|explain like|without jargon|no jargon|basics)/gi,
    second:
      /\b(experts?|advanced|in-depth|technical(?:ly)?|academic|scholarly|specialist|professional level|precise terms|rigorous|scientific|knows the (?:subject|basics)|domain knowledge)/gi,
  },
  informativeness: {
    first:
      /\b(concise|brief(?:ly)?|short(?:er)?|succinct|to the point|terse|no (?:fluff|filler|preamble)|without (?:fluff|filler|preamble)|one (?:sentence|line|paragraph)|summar(?:y|ies|ised|ized)|less text)/gi,
    second:
      /\b(detailed|details?|comprehensive|thorough(?:ly)?|elaborate|extensive|long(?:er)?|complete|background|in full|explanations?|expanded?|context|examples?)/gi,
  },
  tone: {
    first:
      /\b(casual|friendly|informal|humou?r(?:ous)?|funny|jokes?|playful|warm|relaxed|emoji|light-?hearted|chatty|witty)/gi,
    second: /\b(formal|serious|professional|polite|business-?like|neutral|objective|respectful|academic)/gi,
  },
  structure: {
    first:
      /\b(structured|bullet(?: points?|s|ed)?|lists?|numbered|steps?|step-by-step|headings?|tables?|organi[sz]ed|sections?|outlines?|logical(?:ly)?|points)\b/gi,
    second:
      /\b(free-?form|conversational|flowing|no (?:lists?|bullets?|bullet points|headings?)|without (?:lists?|bullets?|bullet points|headings?)|prose|narrative|stor(?:y|ies)|as in a conversation)/gi,
  },
};

/** `not`, `no`, `without` and the like, shortly before a word: it then speaks for the other side. */
const NEGATED =
  /\b(?:not|no|never|without|avoid(?:s|ing)?|dislikes?|hates?|less|fewer|instead of|rather than)(?:\s+\S+){0,2}\s*$/i;

/**
 * The wishes of each persona, in their order: the side of which more words are there; `none` for as many of both, and for
 * no word.
 */
export function dimensionsByRules(personas: readonly UserPersona[]): PersonaWishes[] {
  return personas.map(({ user, persona }) => ({
    user,
    wishes: Object.fromEntries(PREFERENCE_DIMENSIONS.map(({ name }) => [name, wishIn(persona, RULES[name])])),
  }));
}

function wishIn(persona: string, { first, second }: WordRules): Wish {
  const balance = countOf(persona, first) - countOf(persona, second);
  return balance > 0 ? 'first' : balance < 0 ? 'second' : 'none';
}

/** Words that are there, less those that are spoken against. A rule that begins with a negation counts as it is. */
function countOf(persona: string, words: RegExp): number {
  let count = 0;
  for (const match of persona.matchAll(words)) {
    const line = persona.slice(0, match.index).split('\n').at(-1) ?? '';
    count += NEGATED.test(line) ? -1 : 1;
  }
  return count;
}
