import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { preferencePairSchema } from '../../../src/data/pairs.js';
import { makePairs, type PairSettings, sizesFor } from '../../../src/pairs/filter/make-pairs.js';
import { candidateOfRanking } from '../../../src/pairs/rank/candidate-of-ranking.js';
import { pairsFromRankings } from '../../../src/pairs/rank/pairs-from-rankings.js';
import type { RankingRow, RewriteRow } from '../../../src/pairs/rows.js';
import { all, watchedContext } from '../support/conversations.js';
import { rankingRow } from '../support/rankings.js';
import { answer, fakeScorer, rewriteRow } from '../support/rewrites.js';

async function pairsOf(rows: RankingRow[], settings: PairSettings = {}) {
  const context = watchedContext('pairs');
  const pairs = await all(pairsFromRankings(rows, settings, context));
  return { pairs, context, counts: context.tally.counts() };
}

describe('pairsFromRankings', () => {
  it('prefers the highest reward over the lowest, with the persona and both rewards', async () => {
    const row = rankingRow('c', [0.1, 0.7, -0.2, 0.3], { persona: 'Likes it brief.' });
    const { pairs, counts } = await pairsOf([row]);
    expect(pairs).toEqual([
      {
        prompt: row.prompt,
        chosen: [{ role: 'assistant', content: answer('roof1 of c') }],
        rejected: [{ role: 'assistant', content: answer('roof2 of c') }],
        ...{ id: 'c#0', persona: 'Likes it brief.', user: 'user of c', source: 'user-based-rewards' },
        scores: { chosen: 0.7, rejected: -0.2 },
      },
    ]);
    expect(preferencePairSchema.safeParse(pairs[0]).success).toBe(true);
    expect(counts).toMatchObject({ in: 1, out: 1 });
  });

  it('goes by the rewards that decide, and says so', async () => {
    const row = rankingRow('c', [0, 1], { agnostic: [1, 0], rewards: 'user-agnostic' });
    const { pairs } = await pairsOf([row]);
    expect(pairs[0]).toMatchObject({
      source: 'user-agnostic-rewards',
      chosen: [{ content: answer('roof0 of c') }],
    });
  });

  it('takes of tied ones the one drawn first, and nothing where all are tied', async () => {
    const { pairs, context } = await pairsOf([rankingRow('a', [0, 1, 1, 0]), rankingRow('b', [1, 1, 1])]);
    expect(pairs).toHaveLength(1);
    expect(pairs[0]).toMatchObject({
      chosen: [{ content: answer('roof1 of a') }],
      rejected: [{ content: answer('roof0 of a') }],
    });
    expect(context.dropped).toEqual([
      { id: 'b#0', reason: 'all-tied', detail: '3 candidates with the reward 1', user: 'user of b' },
    ]);
  });

  it('drops pairs whose texts are the same but for white space within the filter', async () => {
    const row = rankingRow('a', [0, 1]);
    const same = row.candidates.map((candidate, i) => ({
      ...candidate,
      text: answer('roof') + '\n'.repeat(i),
    }));
    const { counts } = await pairsOf([{ ...row, candidates: same }]);
    expect(counts.dropped).toEqual({ unchanged: 1 });
  });

  it('is the curated pool: RIP’s thresholds, counted, the same as those of rewrites or their own', async () => {
    const rows = [
      rankingRow('good', [0.4, 0]),
      rankingRow('low', [-1, -1.5]),
      rankingRow('gap', [2, 0]),
      rankingRow('close', [0.05, 0]),
    ];
    const ids = async (settings: PairSettings) => (await pairsOf(rows, settings)).pairs.map(({ id }) => id);
    const { counts } = await pairsOf(rows, { minRewardGap: 0.1 });
    expect(counts.dropped).toEqual({
      ...{ 'rejected-reward-too-low': 1, 'reward-gap-too-large': 1, 'reward-gap-too-small': 1 },
    });
    expect(await ids({})).toEqual(['good#0', 'close#0']);
    expect(await ids({ userBased: { maxRewardGap: 3 } })).toEqual(['good#0', 'gap#0', 'close#0']);
    expect(await ids({ maxRewardGap: 3, userBased: { maxRewardGap: 1 } })).toEqual(['good#0', 'close#0']);
    expect(await ids({ userBased: { minRejectedReward: null } })).toEqual(['good#0', 'low#0', 'close#0']);
    expect(await ids({ filter: false })).toHaveLength(4);
  });

  it('is not held to the rules on rewrites', async () => {
    const row = rankingRow('a', [0, 1]);
    const [first, second] = row.candidates as [(typeof row.candidates)[0], (typeof row.candidates)[0]];
    const apology = { ...second, text: `I apologize for the confusion. ${answer('door', 9000)}` };
    const { pairs } = await pairsOf([{ ...row, candidates: [first, apology] }]);
    expect(pairs).toHaveLength(1);
  });

  it('can go without the persona in the pairs', async () => {
    const { pairs } = await pairsOf([rankingRow('a', [0, 1], { persona: 'p' })], { persona: false });
    expect(pairs[0]).not.toHaveProperty('persona');
  });
});

describe('best against random', () => {
  const choice = { pair: 'best-random', minRewardGap: null, seed: 0 } as const;
  const rejectedOf = (row: RankingRow, rest: Partial<Parameters<typeof candidateOfRanking>[1]> = {}) => {
    const candidate = candidateOfRanking(row, { ...choice, ...rest });
    return 'reason' in candidate ? candidate.reason : candidate.pair.scores?.rejected;
  };

  it('draws by seed one of those below the best, and not always the same', () => {
    const rows = Array.from({ length: 30 }, (_, i) => rankingRow(`r${i}`, [0, 1, 2, 3, 3]));
    const drawn = rows.map((row) => rejectedOf(row));
    expect(new Set(drawn)).toEqual(new Set([0, 1, 2]));
    expect(rows.map((row) => rejectedOf(row))).toEqual(drawn);
    expect(rows.map((row) => rejectedOf(row, { seed: 1 }))).not.toEqual(drawn);
  });

  it('keeps the margin that is wanted, and drops where none is below it', () => {
    for (let i = 0; i < 20; i++) {
      expect(rejectedOf(rankingRow(`r${i}`, [0, 1, 2, 3]), { minRewardGap: 2 })).toBeLessThanOrEqual(1);
    }
    expect(rejectedOf(rankingRow('r', [2.5, 3]), { minRewardGap: 2 })).toBe('no-margin');
  });

  it('never rejects what has the best reward', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 2, maxLength: 8 }), (rewards) => {
        const rejected = rejectedOf(rankingRow('r', rewards));
        const best = Math.max(...rewards);
        if (rewards.every((reward) => reward === best)) expect(rejected).toBe('all-tied');
        else expect(rejected).toBeLessThan(best);
      }),
    );
  });
});

describe('both kinds of pairs', () => {
  const rewrites = ['a', 'b', 'c'].map((name, i) =>
    rewriteRow(name, { user: `u${i}`, time: `2024-01-0${3 - i}T00:00:00Z` }),
  );
  const rankings = ['d', 'e', 'f'].map((name, i) =>
    rankingRow(name, [0, 0.5], { user: `u${i}`, time: `2024-01-0${i + 1}T12:00:00Z` }),
  );

  async function both(settings: PairSettings = {}, rows: RewriteRow[] = rewrites) {
    const contexts = { rewrites: watchedContext('pairs'), rankings: watchedContext('pairs by rewards') };
    const passed: string[] = [];
    const pairs = await all(
      makePairs(
        { rewrites: rows, rankings },
        { onPassed: ({ pair }) => passed.push(pair.id), ...settings },
        contexts,
      ),
    );
    const counts = [contexts.rewrites.tally.counts(), contexts.rankings.tally.counts()];
    return { pairs, ids: pairs.map(({ id }) => id), counts, contexts, passed };
  }

  it.each<[PairSettings, string[]]>([
    [{}, ['a:2', 'd#0', 'b:2', 'e#0', 'c:2', 'f#0']],
    [{ order: 'time' }, ['c:2', 'd#0', 'b:2', 'e#0', 'a:2', 'f#0']],
    [{ mixing: 'rewrites-first' }, ['a:2', 'b:2', 'c:2', 'd#0', 'e#0', 'f#0']],
    [{ mixing: 'rewards-first', order: 'time' }, ['d#0', 'e#0', 'f#0', 'c:2', 'b:2', 'a:2']],
  ])('follow each other as is wanted: %j', async (settings, ids) => {
    expect((await both(settings)).ids).toEqual(ids);
  });

  it('have books of their own', async () => {
    const { counts, passed } = await both({ size: 4 });
    const [ofRewrites, ofRankings] = counts;
    expect(ofRewrites).toMatchObject({ unit: 'pairs', in: 3 });
    expect(ofRankings).toMatchObject({ unit: 'pairs by rewards', in: 3 });
    expect((ofRewrites?.out ?? 0) + (ofRankings?.out ?? 0)).toBe(4);
    expect(passed).toHaveLength(6);
  });

  it('have the share that is wanted: of the kind of which there are too many, some are drawn', async () => {
    const { pairs, counts } = await both({ userBased: { share: 0.25 } });
    const sources = pairs.map(({ source }) => source);
    expect(sources.filter((source) => source === 'user-based-rewards')).toHaveLength(1);
    expect(sources.filter((source) => source === 'rewrite')).toHaveLength(3);
    expect(counts[1]?.dropped).toEqual({ 'beyond-share': 2 });
    expect((await both({ userBased: { share: 0 } })).ids).toEqual(['a:2', 'b:2', 'c:2']);
    expect((await both({ userBased: { share: 1 } })).ids).toEqual(['d#0', 'e#0', 'f#0']);
  });

  it('never exceed what there is, and come near the share', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        fc.integer({ min: 1, max: 5000 }),
        fc.integer({ min: 1, max: 5000 }),
        (share, many, few) => {
          const sizes = sizesFor(share, many, few);
          expect(sizes.rewrites).toBeLessThanOrEqual(many);
          expect(sizes.rankings).toBeLessThanOrEqual(few);
          // One of the two is taken whole.
          expect(sizes.rewrites === many || sizes.rankings === few).toBe(true);
          const total = sizes.rewrites + sizes.rankings;
          expect(Math.abs(sizes.rankings - share * total)).toBeLessThanOrEqual(1);
        },
      ),
    );
  });

  it('ask the scorer about rewrites alone', async () => {
    const scorer = fakeScorer((text) => (text.includes('garden') ? 0.5 : 0));
    const { pairs } = await both({ scorer });
    expect(scorer.requests).toHaveLength(3);
    expect(pairs.every(({ scores }) => scores?.chosen === 0.5 && scores.rejected === 0)).toBe(true);
  });
});
