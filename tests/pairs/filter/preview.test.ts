import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { candidateOfRewrite } from '../../../src/pairs/filter/candidate.js';
import { filterPairs } from '../../../src/pairs/filter/filter-pairs.js';
import type { FilterOptions } from '../../../src/pairs/filter/options.js';
import { describePreview, previewThresholds } from '../../../src/pairs/filter/preview.js';
import type { RewriteRow } from '../../../src/pairs/rows.js';
import { all, watchedContext } from '../support/conversations.js';
import { answer, fakeScorer, rewriteRow } from '../support/rewrites.js';

const rows: RewriteRow[] = [
  rewriteRow('a'),
  rewriteRow('b', { original: answer('roof', 1200) }),
  rewriteRow('c', { original: answer('roof', 300) }),
  rewriteRow('d', { rewrite: `You're right! ${answer('garden')}` }),
  rewriteRow('e', { original: answer('roof', 300), rewrite: `You're right! ${answer('garden')}` }),
  rewriteRow('f', { rewrite: answer('roof') }),
];
const candidates = rows.map(candidateOfRewrite);
/** The fuller the answer the better. */
const scorer = () => fakeScorer((text) => Math.round(text.length / 100) / 10);

async function keptBy(options: FilterOptions, scored = false) {
  const settings = scored ? { ...options, scorer: scorer() } : options;
  return (await all(filterPairs(candidates, settings, watchedContext()))).length;
}

const ALL_OFF: FilterOptions = {
  minRejectedCharacters: null,
  requireImprovement: false,
  minRejectedReward: null,
  maxRewardGap: null,
  minChange: null,
  maxLengthRatio: null,
  maxPromptCharacters: null,
  dropFeedbackTalk: false,
  dropRefusals: false,
  dropOtherLanguage: false,
  dropDuplicates: false,
};

describe('previewThresholds', () => {
  it.each([false, true])(
    'says what the filter would keep, alone and together (rewards: %s)',
    async (scored) => {
      const preview = await previewThresholds(candidates, scored ? { scorer: scorer() } : {});
      expect(preview).toMatchObject({
        pairs: 6,
        withRewards: scored ? 6 : 0,
        kept: await keptBy({}, scored),
      });
      for (const { option, values } of preview.rules) {
        expect(
          values.filter(({ configured }) => configured),
          option,
        ).toHaveLength(1);
        for (const { value, alone, together } of values) {
          const set = { [option]: value } as FilterOptions;
          expect(alone, `${option} ${value}`).toBe(await keptBy({ ...ALL_OFF, ...set }, scored));
          expect(together, `${option} ${value}`).toBe(await keptBy(set, scored));
        }
      }
    },
  );

  it('agrees with the filter whatever the thresholds', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          minRejectedCharacters: fc.constantFrom(null, 0, 400, 1878),
          minChange: fc.constantFrom(null, 0, 0.5),
          maxLengthRatio: fc.constantFrom(null, 1, 5),
          maxRewardGap: fc.constantFrom(null, 0.2, 1),
          dropFeedbackTalk: fc.boolean(),
          filter: fc.boolean(),
        }),
        async (options) => {
          const preview = await previewThresholds(candidates, { ...options, scorer: scorer() });
          expect(preview.kept).toBe(await keptBy(options, true));
        },
      ),
      { numRuns: 40 },
    );
  });

  it('tries the values it is given, and the configured one', async () => {
    const { rules } = await previewThresholds(candidates, {
      minRejectedCharacters: 700,
      grid: { minRejectedCharacters: [1500, 100] },
    });
    const tried = rules.find(({ option }) => option === 'minRejectedCharacters')?.values;
    expect(tried?.map(({ value, configured, alone }) => [value, configured, alone])).toEqual([
      [null, false, 6],
      [100, false, 6],
      [700, true, 4],
      [1500, false, 3],
    ]);
  });

  it('reads as a table', async () => {
    const table = describePreview(await previewThresholds(candidates));
    expect(table[0]).toEqual(['threshold', 'value', 'kept by it alone', 'with all others']);
    expect(table).toContainEqual(['min_rejected_characters', '1878 *', '3', '1']);
    expect(table).toContainEqual(['drop_feedback_talk', 'on *', '4', '1']);
    expect(table).toContainEqual(['drop_feedback_talk', 'off', '6', '2']);
    expect(table).toContainEqual(['max_reward_gap', '1 *', 'no rewards', 'no rewards']);
    expect(table.at(-1)).toEqual(['all', 'as configured *', '', '1 of 6']);
    expect(new Set(table.map((row) => row.length))).toEqual(new Set([4]));
  });
});
