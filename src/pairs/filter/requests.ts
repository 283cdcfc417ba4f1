/** What a follow-up asks for, as far as single words tell: they excuse what the filter would else drop. */
import { languageOf } from './language.js';

const MORE =
  /\b(?:more|longer|length(?:en|ier)?|long|expand(?:ed)?|extend(?:ed)?|elaborate|details?|detailed|depth|deeper|thorough(?:ly)?|comprehensive|add(?:ing|ed)?|include|including|continue|go on|keep going|examples?|explain|step[ -]by[ -]step|whole|full(?:y)?|complete(?:ly)?|entire|every|all|further|another|additional|rest|paragraphs?|pages?|essay|table|list|code|\d{2,}\+?(?: |-)?(?:words?|lines?|characters?|sentences?|items?|points?|ideas?))\b/i;

/** English names of languages and what their speakers call them. */
const LANGUAGES =
  /\b(?:languages?|translat\w*|english|spanish|espa[nñ]ol|castellano|french|fran[cç]ais|german|deutsch|italian|italiano|portuguese|portugu[eê]s|dutch|nederlands|swedish|svenska|danish|norwegian|finnish|polish|polski|czech|turkish|t[uü]rk[cç]e|indonesian|bahasa|vietnamese|romanian|hungarian|greek|russian|ukrainian|arabic|hebrew|persian|farsi|hindi|urdu|bengali|tamil|thai|korean|japanese|chinese|mandarin|cantonese|latin|esperanto|inglés|inglese|anglais|englisch)\b|русск|украинск|английск|перевед|中文|英文|英语|日本語|英語|한국어|영어|翻译|翻訳|번역|العربية|بالإنجليزية/iu;

/** Whether it asks for more of something, or names a length or form that may be longer. */
export function asksForMore(followUp: string): boolean {
  return MORE.test(followUp);
}

/** Whether it speaks of languages, or is itself in the language named. */
export function asksForLanguage(followUp: string, language: string): boolean {
  return LANGUAGES.test(followUp) || languageOf(followUp, { letters: 4, commonWords: 1 }) === language;
}
