import { describe, expect, test } from 'vitest';
import { describeRanking, rankCorrelation, rankingReport } from '../../src/run/ranking-report.js';
import { rankingRow } from '../pairs/support/rankings.js';

const persona = 'p';

describe('the report of how the persona changes the ranking', () => {
  test('counts prompts whose best, worst, or either is another candidate', async () => {
    const report = await rankingReport([
      rankingRow('same', [0, 1, 2], { agnostic: [0, 10, 20], persona }),
      rankingRow('best', [0, 1, 2], { agnostic: [0, 2, 1], persona }),
      rankingRow('worst', [0, 1, 2], { agnostic: [1, 0, 2], persona }),
      rankingRow('both', [0, 1, 2], { agnostic: [2, 1, 0], persona }),
    ]);
    expect(report).toMatchObject({ prompts: 4, users: 4, candidates: 12, withoutPersona: 0 });
    expect(report.bestDiffers.estimate).toBe(0.5);
    expect(report.worstDiffers.estimate).toBe(0.5);
    expect(report.pairDiffers.estimate).toBe(0.75);
    expect(report.rankCorrelation.estimate).toBeCloseTo((1 + 0.5 + 0.5 - 1) / 4, 12);
    // Of the user-based reward the other choice costs 1 in `best` and 2 in `both`.
    expect(report.rewardGained.estimate).toBeCloseTo(3 / 4, 12);
    const { low, high } = report.bestDiffers;
    expect([low >= 0, low < 0.5, high > 0.5, high <= 1]).toEqual([true, true, true, true]);
  });

  test('draws users, not prompts, for the intervals', async () => {
    const rows = (user: (i: number) => string) =>
      Array.from({ length: 40 }, (_, i) =>
        rankingRow(`c${i}`, [0, 1], { agnostic: i < 20 ? [0, 1] : [1, 0], persona, user: user(i) }),
      );
    const wide = await rankingReport(rows((i) => (i < 20 ? 'ann' : 'ben')));
    const narrow = await rankingReport(rows((i) => `u${i}`));
    const width = ({ bestDiffers: { low, high } }: typeof wide) => high - low;
    expect(wide.bestDiffers.estimate).toBe(narrow.bestDiffers.estimate);
    expect(width(wide)).toBe(1);
    expect(width(narrow)).toBeLessThan(0.4);
  });

  test('does not take what it saw of few users for certain', async () => {
    const rows = ['a', 'b', 'c'].map((name) => rankingRow(name, [0, 1], { agnostic: [0, 1], persona }));
    const { bestDiffers } = await rankingReport(rows);
    expect([bestDiffers.estimate, bestDiffers.low]).toEqual([0, 0]);
    // Wilson's of 0 of 3.
    expect(bestDiffers.high).toBeCloseTo(0.5615, 3);
  });

  test('leaves aside users without a persona, and prompts with one kind of rewards', async () => {
    const report = await rankingReport([
      rankingRow('nobody', [0, 1], { agnostic: [0, 1] }),
      rankingRow('one kind', [0, 1], { persona }),
    ]);
    expect(report).toMatchObject({ prompts: 0, withoutPersona: 1 });
    expect(describeRanking(report, String)).toEqual([
      'Nothing shows how the persona changes the ranking: no prompts with one; 1 prompts of users without a persona left aside.',
    ]);
  });

  test('knows no correlation where all rewards of a kind are the same', async () => {
    const report = await rankingReport([
      rankingRow('flat', [0, 1], { agnostic: [3, 3], persona }),
      rankingRow('same', [0, 1], { agnostic: [0, 1], persona }),
    ]);
    expect(report.withoutCorrelation).toBe(1);
    expect(report.rankCorrelation.estimate).toBe(1);
  });
});

test.each([
  [[1, 2, 3], [10, 20, 30], 1],
  [[1, 2, 3], [3, 2, 1], -1],
  [[1, 2, 3, 4], [1, 3, 2, 4], 0.8],
  // Ties share the mean of their ranks: Pearson's correlation of 0.5, 0.5, 2, 3 with 0, 1, 2, 3.
  [[1, 1, 2, 3], [1, 2, 3, 4], 4.5 / Math.sqrt(4.5 * 5)],
])('rank correlation of %j and %j is %d', (a, b, expected) => {
  expect(rankCorrelation(a, b)).toBeCloseTo(expected, 12);
});
