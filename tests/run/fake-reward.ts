import type { RewardModel, ScoreRequest } from '../../src/rewards/reward-model.js';
import type { OpenReward } from '../../src/run/rewards.js';

export interface FakeReward {
  open: OpenReward;
  asked: ScoreRequest[];
  /** How often a model was opened and disposed. */
  opened: number;
  disposed: number;
}

/** A reward model that gives an answer the reward that a function gives it; a word is a token. */
export function fakeReward(reward: (answer: string, request: ScoreRequest) => number): FakeReward {
  const fake: FakeReward = {
    asked: [],
    opened: 0,
    disposed: 0,
    async open({ model }) {
      fake.opened++;
      const usage = { requests: 0, candidates: 0, cached: 0, truncated: 0, tokens: 0 };
      return {
        identity: `fake reward ${model}`,
        executionProvider: 'cpu',
        async score(request) {
          fake.asked.push(request);
          usage.requests++;
          usage.candidates += request.candidates.length;
          usage.tokens += request.candidates.join(' ').split(' ').length;
          return request.candidates.map((each) => reward(each, request));
        },
        usage: () => usage,
        dispose: async () => {
          fake.disposed++;
        },
      } satisfies RewardModel;
    },
  };
  return fake;
}
