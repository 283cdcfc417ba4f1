import { describe, expect, it } from 'vitest';
import { DataError } from '../../../src/errors.js';
import type { RankOptions } from '../../../src/pairs/rank/options.js';
import { rankCandidates } from '../../../src/pairs/rank/rank-candidates.js';
import type { CandidatesRow } from '../../../src/pairs/rows.js';
import type { RewardScorer } from '../../../src/rewards/reward-model.js';
import { all, watchedContext } from '../support/conversations.js';
import { candidatesRow } from '../support/rankings.js';
import { fakeScorer } from '../support/rewrites.js';

/** Length counts; with a persona, its being short does. */
const byLength = () => fakeScorer((text, { persona }) => (persona === undefined ? 1 : -1) * text.length);

async function rank(rows: CandidatesRow[], options: RankOptions = {}, scorer: RewardScorer = byLength()) {
  const context = watchedContext('prompts');
  const rankings = await all(rankCandidates(rows, { ...options, scorer }, context));
  return { rankings, context, counts: context.tally.counts() };
}

describe('rankCandidates', () => {
  const row = candidatesRow('a', ['long one', 'short'], { persona: 'Likes it brief.' });

  it('keeps all rewards, with the persona in what is scored', async () => {
    const scorer = byLength();
    const { rankings, counts } = await rank([row], {}, scorer);
    expect(scorer.requests).toEqual([
      { prompt: row.prompt, persona: 'Likes it brief.', candidates: ['long one', 'short'] },
    ]);
    expect(rankings).toEqual([
      {
        ...row,
        candidates: [
          { text: 'long one', draws: [0], finishReason: 'stop', rewards: { 'user-based': -8 } },
          { text: 'short', draws: [1], finishReason: 'stop', rewards: { 'user-based': -5 } },
        ],
        rewards: 'user-based',
        scorer: 'fake scorer',
      },
    ]);
    expect(counts).toMatchObject({ unit: 'prompts', in: 1, out: 1 });
  });

  it('or without it: user-agnostic rewards', async () => {
    const scorer = byLength();
    const { rankings } = await rank([row], { rewards: 'user-agnostic' }, scorer);
    expect(scorer.requests).toEqual([{ prompt: row.prompt, candidates: ['long one', 'short'] }]);
    expect(rankings[0]).toMatchObject({
      rewards: 'user-agnostic',
      candidates: [{ rewards: { 'user-agnostic': 8 } }, { rewards: { 'user-agnostic': 5 } }],
    });
  });

  it('or both, one of which decides', async () => {
    const { rankings } = await rank([row], { compare: true });
    expect(rankings[0]?.rewards).toBe('user-based');
    expect(rankings[0]?.candidates.map(({ rewards }) => rewards)).toEqual([
      { 'user-based': -8, 'user-agnostic': 8 },
      { 'user-based': -5, 'user-agnostic': 5 },
    ]);
  });

  it('asks once about a user without a persona, which is noted', async () => {
    const scorer = byLength();
    const { rankings, counts } = await rank([candidatesRow('b', ['x', 'yy'])], { compare: true }, scorer);
    expect(scorer.requests).toHaveLength(1);
    expect(rankings[0]?.candidates.map(({ rewards }) => rewards)).toEqual([
      { 'user-based': 1, 'user-agnostic': 1 },
      { 'user-based': 2, 'user-agnostic': 2 },
    ]);
    expect(counts.noted).toEqual({ 'no-persona': 1 });
  });

  it('drops what the scorer says it can’t score, and goes on', async () => {
    const scorer: RewardScorer = {
      identity: 'picky',
      score: async ({ candidates }) => {
        if (candidates.includes('bad')) throw new DataError('an answer is bad');
        return candidates.map(() => 0);
      },
    };
    const rows = [candidatesRow('a', ['bad', 'good']), candidatesRow('b', ['x', 'y'])];
    const { rankings, context, counts } = await rank(rows, {}, scorer);
    expect(rankings.map(({ id }) => id)).toEqual(['b#0']);
    expect(context.dropped).toEqual([
      { id: 'a#0', reason: 'not-scorable', detail: 'an answer is bad', user: 'user of a' },
    ]);
    expect(counts).toMatchObject({ in: 2, out: 1 });
  });

  it.each([
    ['not finite', () => [Number.NaN, 1]],
    ['too few', () => [1]],
  ])('refuses rewards that are %s', async (_name, give) => {
    const scorer = { identity: 'odd', score: async () => give() };
    await expect(rank([row], {}, scorer)).rejects.toMatchObject({
      code: 'SCORES',
      message: expect.stringContaining('odd was given 2 answers of prompt a#0'),
    });
  });

  it('gives the rankings in the order of the prompts, whichever is scored first', async () => {
    const rows = Array.from({ length: 20 }, (_, i) => candidatesRow(`p${i}`, ['x', 'yy']));
    const scorer: RewardScorer = {
      identity: 'slow for the first',
      score: async ({ prompt }) => {
        if (prompt[0]?.content.includes('p0?')) await new Promise((resolve) => setTimeout(resolve, 5));
        return [1, 2];
      },
    };
    const { rankings } = await rank(rows, {}, scorer);
    expect(rankings.map(({ conversation }) => conversation)).toEqual(
      rows.map(({ conversation }) => conversation),
    );
  });
});
