import type { CandidatesRow, PromptRow, RankedCandidate, RankingRow } from '../../../src/pairs/rows.js';
import { answer } from './rewrites.js';

/** A first message of conversation `name`, and what should differ. */
export function promptRow(name: string, rest: Partial<PromptRow> = {}): PromptRow {
  return {
    ...{ id: `${name}#0`, user: `user of ${name}`, conversation: name, turn: 0 },
    type: 'initial-request',
    prompt: [{ role: 'user', content: `What of the house, ${name}?` }],
    ...rest,
  };
}

/** Candidates `first`, `second`, ... of a prompt. */
export function candidatesRow(
  name: string,
  texts: readonly string[],
  rest: Partial<CandidatesRow> = {},
): CandidatesRow {
  const candidates = texts.map((text, i) => ({ text, draws: [i], finishReason: 'stop' as const }));
  return { ...promptRow(name), candidates, model: 'fake', request: [], ...rest };
}

/** Candidates with these user-based rewards, long enough for the filter; the user-agnostic ones where they are given. */
export function rankingRow(
  name: string,
  based: readonly number[],
  { agnostic, ...rest }: Partial<RankingRow> & { agnostic?: readonly number[] } = {},
): RankingRow {
  const candidates = based.map(
    (reward, i): RankedCandidate => ({
      text: answer(`roof${i} of ${name}`),
      draws: [i],
      finishReason: 'stop',
      rewards: {
        'user-based': reward,
        ...(agnostic === undefined ? {} : { 'user-agnostic': agnostic[i] as number }),
      },
    }),
  );
  return {
    ...{ ...promptRow(name), candidates, model: 'fake', request: [] },
    ...{ rewards: 'user-based', scorer: 'fake scorer' },
    ...rest,
  };
}
