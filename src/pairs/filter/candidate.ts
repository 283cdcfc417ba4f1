/** A pair before the quality filter, with what the filter wants to know beside it. */
import type { Message, PreferencePair } from '../../data/pairs.js';
import type { RankingRow, RewriteRow } from '../rows.js';

export interface PairCandidate {
  pair: PreferencePair & { id: string };
  /** What the user said to the rejected answer, where that is known: it may excuse a change of language or length. */
  followUp?: string;
  /** The ranking that it is the best and the worst of; its rewards are known, and rules on rewrites do not concern it. */
  ranking?: RankingRow;
  /** When the conversation began, where that is known. */
  time?: string;
}

/** The rewrite preferred over the original, under the context before both; named after its row. */
export function candidateOfRewrite(row: RewriteRow): PairCandidate {
  const { id, user, source, prompt, original, rewrite, persona, followUp, time } = row;
  return {
    pair: {
      prompt,
      chosen: [assistant(rewrite)],
      rejected: [assistant(original)],
      id,
      ...(persona === undefined ? {} : { persona }),
      user,
      source,
    },
    followUp,
    ...(time === undefined ? {} : { time }),
  };
}

function assistant(content: string): Message {
  return { role: 'assistant', content };
}

/** Text of a pair's answer. */
export function answerText(answer: readonly Message[]): string {
  return answer.map(({ content }) => content).join('');
}
