/** In what users' wishes differ most often (Table 1). */

/** One dimension: two wishes that speak against each other. */
export interface PreferenceDimension {
  name: string;
  /** What the two wishes are called in tables. */
  first: string;
  second: string;
  /** What the judge reads of them, in our own words. */
  firstWish: string;
  secondWish: string;
}

export const PREFERENCE_DIMENSIONS = [
  {
    name: 'expertise',
    first: 'for beginners',
    second: 'for experts',
    firstWish:
      'answers that somebody new to the subject can follow: plain words, things explained from the start',
    secondWish: 'answers at the level of somebody who knows the subject: its terms, depth and detail',
  },
  {
    name: 'informativeness',
    first: 'concise',
    second: 'expansive',
    firstWish: 'short answers that come to the point',
    secondWish: 'full answers with background, so that nothing is missing',
  },
  {
    name: 'tone',
    first: 'casual',
    second: 'formal',
    firstWish: 'a relaxed, friendly or funny tone',
    secondWish: 'a serious, formal or professional tone',
  },
  {
    name: 'structure',
    first: 'structured',
    second: 'free-form',
    firstWish: 'ordered answers: lists, steps, headings, tables, one thing after the other',
    secondWish: 'flowing answers, as in a conversation, without a scheme',
  },
] as const satisfies readonly PreferenceDimension[];

export type DimensionName = (typeof PREFERENCE_DIMENSIONS)[number]['name'];

/** What a persona wants in one dimension; `none`: nothing, or both. */
export const WISHES = ['first', 'second', 'none'] as const;
export type Wish = (typeof WISHES)[number];

/** A user's persona. */
export interface UserPersona {
  user: string;
  persona: string;
}

/** What was found of one persona; a dimension on which there was no verdict is absent. */
export interface PersonaWishes {
  user: string;
  wishes: Partial<Record<DimensionName, Wish>>;
}
