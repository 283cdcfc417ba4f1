/** What personas want, as a language model judges it (Table 1). */

import type { Tally } from '../../data/tally.js';
import type { ChatModel } from '../../llm/chat-model.js';
import type { Case, VerdictWords } from '../../pairs/judge/judge.js';
import { judgeByReply } from '../../pairs/judge/judge-by-reply.js';
import { createDimensionTemplate, type DimensionTemplate } from './dimension-template.js';
import {
  type DimensionName,
  type PersonaWishes,
  PREFERENCE_DIMENSIONS,
  type UserPersona,
  WISHES,
  type Wish,
} from './preference-dimensions.js';

export interface JudgeDimensionsSettings {
  /** Who is asked. */
  model: ChatModel;
  /** Default: our own words. */
  template?: DimensionTemplate;
  /** Tokens of a reply; models that reason first need many. Default 512. */
  maxReplyTokens?: number;
  /** Counts verdicts: in, out, and `no-verdict` with what the judge said. */
  tally: Tally;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

const WORDS: VerdictWords<Wish> = {
  verdicts: WISHES,
  words: { first: ['A'], second: ['B'], none: ['none', 'neither', 'both'] },
};

/**
 * The wishes of each persona, in their order: one request for each persona and dimension, a second one where the reply
 * has no verdict.
 */
export async function judgeDimensions(
  personas: readonly UserPersona[],
  settings: JudgeDimensionsSettings,
): Promise<PersonaWishes[]> {
  const {
    model,
    template = createDimensionTemplate(),
    maxReplyTokens = 512,
    tally,
    signal,
    onProgress,
  } = settings;
  const asked: { at: number; name: DimensionName; question: Case }[] = personas.flatMap(
    ({ user, persona }, at) =>
      PREFERENCE_DIMENSIONS.map((dimension) => ({
        ...{ at, name: dimension.name },
        question: {
          id: `${user}:${dimension.name}`,
          owner: user,
          messages: template.render(persona, dimension),
        },
      })),
  );
  tally.enter(asked.length);
  let done = 0;
  const judge = judgeByReply(model, WORDS, { maxTokens: maxReplyTokens });
  const judgements = await judge.judge(
    asked.map(({ question }) => question),
    {
      onJudged: () => onProgress?.(++done, asked.length),
      ...(signal === undefined ? {} : { signal }),
    },
  );
  const found: PersonaWishes[] = personas.map(({ user }) => ({ user, wishes: {} }));
  for (const [i, { at, name, question }] of asked.entries()) {
    const { verdict, problem } = judgements[i] ?? {};
    if (verdict === undefined) {
      const detail = problem ?? 'the judge said nothing';
      tally.drop({ id: question.id, user: question.owner, reason: 'no-verdict', detail });
      continue;
    }
    tally.leave();
    found[at]!.wishes[name] = verdict;
  }
  return found;
}
