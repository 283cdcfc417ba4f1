/** Rewrites that speak of the feedback they answer, or of the answer they replace. */

/** Where such words stand: so many characters at the beginning and at the end are looked at. */
const EDGE_CHARACTERS = 240;

const CHANGED =
  'revis(?:ed|ion)|updated?|rewritten|re-?write|improved|corrected|modified|edited|shortened|shorter|longer|expanded|simplified|refined|polished|adjusted|condensed';
const ANSWER = '(?:version|response|answer|reply|message|attempt|draft|explanation|text)';

const SAID =
  '(?:feedback|follow-?up|comments?|suggestions?|clarifications?|corrections?|input|instructions?|request|message|additional information)';

const PATTERNS = [
  '\\bthank(?:s| you)(?: so much| very much)? for (?:your (?:feedback|follow-?up|clarif|comment|suggestion|correction|input|message|patience|understanding)|the (?:feedback|clarif|correction|suggestion)|pointing|clarifying|letting me know|bringing|catching)',
  "\\b(?:i apologi[sz]e|my apologies|apologies|(?:i(?:'m| am) )?(?:so |very |really )?sorry) (?:for|if|that) (?:the|my|any|that|this|being|not|having|i)\\b",
  "\\byou(?:'re| are) (?:absolutely |completely |quite |totally )?(?:right|correct)\\b",
  `\\b(?:based on|according to|in (?:response|reply) to|in light of|considering|taking into account|incorporating|following|as per|per|with|given) (?:(?:your|the (?:user|reader)'s) ${SAID}|the (?:feedback|follow-?up|clarifications?))\\b`,
  '\\bas requested\\b(?! by)|\\bas you (?:have |had )?(?:requested|asked|suggested|pointed out|mentioned|said|wished|wanted)\\b|\\bper your (?:request|instructions?)\\b',
  `\\b(?:here(?:'s| is| are)|below is|this is) (?:the|a|an|your|my) (?:[\\w-]+ ){0,3}?(?:${CHANGED})\\b`,
  `\\b(?:here(?:'s| is)|this is) (?:the|a|an|another) (?:new|better|different) ${ANSWER}\\b`,
  `\\b(?:${CHANGED}) ${ANSWER}\\b`,
  `\\b(?:my|the) (?:previous|earlier|last|prior|initial) ${ANSWER}\\b`,
  `\\bi(?:'ve| have) (?:now |also |just )?(?:${CHANGED}|incorporated|removed|added|changed|made) (?:the|my|your|it|this|that|some|more|sure|an?)\\b`,
  '\\bi (?:revised|rewrote|shortened|simplified|expanded|condensed) (?:the|my|your|it|this)\\b',
  "\\bi(?:'ll| will|'m going to) [^.!?\\n]{0,60}?\\b(?:(?:the|your) (?:original )?message (?:intact|short|concise|unchanged)|(?:same|about the) length|(?:new|last|previous|original) answer)\\b",
  "\\b(?:this|the|your) message (?:is asking|asks|says|wants|does not ask|doesn't ask)\\b",
  "\\bthe (?:user|reader)(?:'s)? (?:asked|wants|wanted|requested|said|feedback|follow-?up|message)\\b",
  '\\b(?:hope|let me know if) (?:that |whether )?(?:this|the|these) [^.!?\\n]{0,40}(?:better|revis|chang|adjust|meets|closer)',
].map((pattern) => new RegExp(pattern, 'iu'));

/**
 * The words by which a rewrite is seen to speak of the feedback, of a change or of an earlier answer; undefined where
 * it does not. Only its first and last 240 characters are looked at, and what the original has in the same place, too,
 * does not count: a letter of apology may begin with one. Knows English only.
 */
export function feedbackTalk(rewrite: string, original: string): string | undefined {
  const [edges, before] = [edgesOf(rewrite), edgesOf(original)];
  for (const pattern of PATTERNS) {
    const found = pattern.exec(edges)?.[0];
    if (found !== undefined && !pattern.test(before)) return found;
  }
  return undefined;
}

function edgesOf(text: string): string {
  const plain = text
    .replace(/[’ʼ]/g, "'")
    .replace(/[*_#>]+/g, '')
    .trim();
  return plain.length <= 2 * EDGE_CHARACTERS
    ? plain
    : `${plain.slice(0, EDGE_CHARACTERS)}\n${plain.slice(-EDGE_CHARACTERS)}`;
}
