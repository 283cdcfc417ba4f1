import type { RewriteRow } from '../../../src/pairs/rows.js';
import type { RewardScorer, ScoreRequest } from '../../../src/rewards/reward-model.js';

/** An answer of about so many characters in plain English, different for each `name`. */
export function answer(name: string, characters = 2000): string {
  const sentence = `The ${name} of the house is here, and it is for you. `;
  return sentence.repeat(Math.ceil(characters / sentence.length)).trim();
}

/** A rewrite that the filter's defaults keep, and what should differ from it. */
export function rewriteRow(id: string, rest: Partial<RewriteRow> = {}): RewriteRow {
  const [conversation = id, turn = '2'] = id.split(':');
  return {
    id: `${conversation}:${turn}`,
    user: `user of ${conversation}`,
    conversation,
    turn: Number(turn),
    source: 'rewrite',
    prompt: [{ role: 'user', content: `What of the house, ${id}?` }],
    original: answer('roof'),
    followUp: 'I meant the garden',
    rewrite: answer('garden'),
    model: 'fake',
    request: [],
    finishReason: 'stop',
    ...rest,
  };
}

/** A scorer that gives an answer the reward that a function gives it; keeps what it was asked. */
export function fakeScorer(
  reward: (answer: string, request: ScoreRequest) => number,
): RewardScorer & { requests: ScoreRequest[] } {
  const requests: ScoreRequest[] = [];
  return {
    identity: 'fake scorer',
    requests,
    score: async (request) => {
      requests.push(request);
      return request.candidates.map((each) => reward(each, request));
    },
  };
}
