/**
 * Tells replies in which a model refuses, or says that it cannot, from answers. A refusal stands at the beginning, in
 * the first person, and little follows it; an answer that begins with a caveat, or a text that quotes a refusal, is
 * none.
 */
import { replyText } from './reply-text.js';

/** A refusal is in one of so many sentences at the beginning. */
const SENTENCES = 2;
/** More characters than this after the refusal are an answer with a caveat before it. */
const MAX_CHARACTERS_AFTER = 600;
/** Of a sentence so much is looked at: one without an end must not take long. */
const MAX_SENTENCE = 500;

const VERBS = [
  'assist|help(?! but\\b)|comply|fulfill?|accommodate|facilitate|condone|promote|endorse',
  '(?:directly )?(?:provide|generate|create|write|produce|answer|respond|revise|rewrite|rephrase|summari[sz]e|translate)',
  'continue|proceed|engage|discuss|participate|complete|support|offer|share|infer|determine|access|browse|open',
  'do (?:that|this|so|it|what)|give (?:you|that|this|advice|instructions)|carry out|act on|talk about',
].join('|');
const UNABLE = [
  "(?:can't|cannot|can not|could not|couldn't|won't|will not|must not)",
  "(?:am|'m) (?:not able|unable|not allowed|not permitted|not programmed|not designed|not comfortable|not willing|not in a position) ?(?:to|with)?",
].join('|');
const ADVERBS =
  '(?:(?:really|just|simply|currently|directly|in good conscience|ethically|actually|possibly) )?';
const MACHINE =
  '(?:ai|artificial intelligence|(?:large )?language model|(?:virtual |digital )?assistant|llm)';

/** How a clause of a refusal begins; tried at the beginning of a sentence and after what introduces one. */
const CORES = [
  `i ?(?:${UNABLE}) ${ADVERBS}(?:be able to )?(?:${VERBS})\\b`,
  "i (?:must|have to|need to|would have to|am going to have to|'ll have to) (?:respectfully )?(?:decline|refuse)\\b",
  "(?:i'm|i am) (?:really |very |so |truly |afraid )?(?:sorry|afraid),? (?:but )?(?:that )?(?:i (?:can't|cannot|won't)(?: do (?:that|this|it))?|that is not possible|that's not possible)[.!]?$",
  `as an? (?:\\w+ ){0,2}(?:${MACHINE}\\b)[^.!?]{0,80}? i (?:can't|cannot|do not|don't|am not|'m not|am unable|won't|lack)\\b`,
  "i (?:do not|don't) feel comfortable\\b",
  "i (?:do not|don't) have (?:(?:enough|sufficient|any|the) )?(?:information|context|data|details|access|messages)\\b",
  "(?:there is|there's) (?:not enough|insufficient|no) (?:information|context|data|user messages|messages)\\b",
  "(?:it is|it's) (?:not possible|impossible) for me to\\b",
  '(?:this|that|your|the) (?:request|prompt|content|question|message|topic) (?:violates|goes against|is against|falls outside|may violate)\\b',
  '(?:it|this|that|which) (?:goes against|violates|would violate|is against) (?:my|our|the|openai|content)\\b',
  'lo siento,? (?:pero )?(?:no puedo|como)\\b',
  'je (?:suis désolée?|regrette),? (?:mais )?je ne (?:peux|puis)\\b',
  '(?:es )?tut mir leid,? (?:aber )?(?:ich kann|dabei kann ich)\\b',
  '(?:desculpe|sinto muito|lamento),? (?:mas )?(?:eu )?não posso\\b',
  'mi dispiace,? (?:ma )?non posso\\b',
  '(?:извините|к сожалению|простите),? (?:но )?я не могу',
  '(?:抱歉|对不起|很抱歉),?我(?:无法|不能)',
];
const LEADS = [
  "(?:i'm|i am|we're) (?:really |very |so |truly |deeply |afraid )?(?:sorry|afraid)[^.!?]{0,60}?",
  '(?:i )?(?:sincerely )?(?:apologi[sz]e|apologies)[^.!?]{0,60}?|my (?:sincere )?apologies[^.!?]{0,40}?|sorry',
  'unfortunately|regrettably|i regret (?:to say|that)|(?:oh|ah|hmm|well|okay|ok|sure)',
  '(?:i|while i|although i) (?:understand|appreciate|see|realise|realize|know|get)[^.!?]{0,120}?',
  'thank(?:s| you)[^.!?]{0,80}?|however|(?:for|due to|because of)[^.!?]{0,60}? (?:reasons|guidelines|policy|policies)',
];
const REFUSAL = new RegExp(
  `^(?:(?:${LEADS.join('|')})(?:[,;:—–-]+| )\\s*(?:(?:but|that|and|however,?) )?){0,3}(${CORES.join('|')})`,
  'iu',
);

/**
 * The words by which a reply is seen to be a refusal, undefined where it is none. Looks at the first two sentences of
 * what is left after reasoning tags; knows English well and the usual opening of a few other languages.
 */
export function refusalIn(text: string): string | undefined {
  const plain = plainText(replyText(text));
  let start = 0;
  for (const sentence of plain.split(/(?<=[.!?。])\s*/u).slice(0, SENTENCES)) {
    const phrase = REFUSAL.exec(sentence.slice(0, MAX_SENTENCE))?.[1];
    if (phrase !== undefined) {
      return plain.length - start - sentence.length <= MAX_CHARACTERS_AFTER ? phrase : undefined;
    }
    start += sentence.length + 1;
  }
  return undefined;
}

/** One line, straight apostrophes, no quotation marks around the whole and no Markdown before it. */
function plainText(text: string): string {
  const line = text
    .replace(/[’ʼ`]/g, "'")
    .replace(/\uFF0C/g, ',')
    .replace(/\s+/g, ' ');
  const bare = line.replace(/^[\s*_#>•-]+/, '').replace(/[\s*_]+$/, '');
  return /^["“].*["”]$/.test(bare) && !/["“”]/.test(bare.slice(1, -1)) ? bare.slice(1, -1) : bare;
}
