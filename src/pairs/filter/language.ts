/**
 * Which language a text is in, as far as its script and its commonest words tell: enough to see that an answer has
 * changed its language. Where they do not tell, it says nothing.
 */

/** So many characters of a text are looked at. */
const LOOKED_AT = 2000;
/** Fewer letters than this tell nothing, unless told otherwise. */
const LETTERS = 24;
/** A language written in Latin letters must have so many of its common words, unless told otherwise. */
const COMMON_WORDS = 4;
/** And so many times as many as the next language. */
const LEAD = 1.4;
/** Kana is this share of Japanese letters at least; Chinese has none. */
const KANA_SHARE = 0.05;

const SCRIPTS = [
  'Latin',
  'Cyrillic',
  'Greek',
  'Arabic',
  'Hebrew',
  'Devanagari',
  'Bengali',
  'Tamil',
  'Telugu',
  'Thai',
  'Georgian',
  'Armenian',
  'Hangul',
  'Han',
  'Hiragana',
  'Katakana',
].map((name) => ({ name, letters: new RegExp(`\\p{Script=${name}}`, 'gu') }));

/** Words that are common in a language and rare in the others that share its letters. */
const WORDS: Record<string, Set<string>> = Object.fromEntries(
  Object.entries({
    English:
      'the and of to is that it for you with are this be have not your from they which will their can what there would about',
    Spanish:
      'el los las y que del se por con para una su está más pero como sus este esta son muy también cuando hay puede',
    French:
      'le les et des une est pour dans qui sur pas vous avec sont cette mais nous leur être aux ces peut très aussi du',
    German:
      'der die das und ist nicht mit ein eine den von zu sie auf für sich dem im auch wird sind oder als kann werden',
    Italian:
      'il che di è per una con non sono della gli nel alla più anche come questo dei delle essere questa può si ma',
    Portuguese:
      'os que não uma para com do da dos das em você são mais mas ao pela pelo muito também ser isso está um seu',
    Dutch:
      'het een van en is dat niet voor op te zijn met die aan ook als bij naar maar wordt je deze kan meer om',
    Swedish:
      'och att det som är en på för inte med av till den har om ett kan du var eller också från ska men',
    Polish: 'się nie na że jest do i w z to są jak dla lub oraz przez tym może być jego które od po także',
    Turkish:
      've bir bu için ile de da çok olarak daha gibi olan en her ne kadar sonra değil veya ama olduğu var',
    Indonesian:
      'yang dan di untuk dengan ini itu dari pada adalah tidak dalam akan anda atau juga dapat ke karena oleh bisa',
    Vietnamese: 'và của là có không được cho một các trong người với để này những khi đã từ bạn như về',
    Romanian: 'și în este nu pe cu să care mai din sau pentru sunt fi la ca cel acest dar după prin',
    Czech: 'je se na že s z do v pro jako by ale jsou nebo také který podle při může být což tak od',
  }).map(([language, words]) => [language, new Set(words.split(' '))]),
);

export interface LanguageEvidence {
  /** Letters that a text must have. Default 24. */
  letters?: number;
  /** Common words that a text in Latin letters must have. Default 4. */
  commonWords?: number;
}

/**
 * The English name of the language, or of its script where the script is all that is told (`Cyrillic`, `Arabic`);
 * undefined where there is too little to tell by. Code blocks, inline code and addresses do not count.
 */
export function languageOf(
  text: string,
  { letters = LETTERS, commonWords = COMMON_WORDS }: LanguageEvidence = {},
): string | undefined {
  const prose = text
    .slice(0, LOOKED_AT)
    .replace(/```[\s\S]*?(?:```|$)|`[^`\n]*`/g, ' ')
    .replace(/https?:\/\/\S+/g, ' ');
  const counts = SCRIPTS.map((script) => ({
    name: script.name,
    count: prose.match(script.letters)?.length ?? 0,
  }));
  const total = counts.reduce((sum, { count }) => sum + count, 0);
  if (total < letters) return undefined;
  const of = (...names: string[]) =>
    counts.reduce((sum, { name, count }) => sum + (names.includes(name) ? count : 0), 0);
  const east = of('Han', 'Hiragana', 'Katakana');
  const widest = counts.reduce((best, each) => (each.count > best.count ? each : best));
  if (east >= widest.count) return of('Hiragana', 'Katakana') > KANA_SHARE * east ? 'Japanese' : 'Chinese';
  if (widest.name === 'Hangul') return 'Korean';
  return widest.name === 'Latin' ? latinLanguage(prose, commonWords) : widest.name;
}

function latinLanguage(prose: string, commonWords: number): string | undefined {
  const words = prose.toLowerCase().match(/[\p{L}\p{M}]+/gu) ?? [];
  const [first, second] = Object.entries(WORDS)
    .map(([language, common]) => ({ language, hits: words.filter((word) => common.has(word)).length }))
    .sort((a, b) => b.hits - a.hits);
  if (first === undefined || second === undefined) return undefined;
  return first.hits >= commonWords && first.hits >= LEAD * second.hits ? first.language : undefined;
}
