import type { Drawing } from './plot.js';
import type { ReportPair } from './report-data.js';

const BINS = 24;

/** How the rewards of chosen and rejected answers lie; undefined where no pair has rewards. */
export function rewardDrawing(
  pairs: readonly Pick<ReportPair, 'scores'>[],
  run: number,
): Drawing | undefined {
  const scores = pairs.flatMap(({ scores }) => (scores === undefined ? [] : [scores]));
  if (scores.length === 0) return undefined;
  const values = [
    ...binned(
      scores.map(({ chosen }) => chosen),
      'chosen',
      scores,
    ),
    ...binned(
      scores.map(({ rejected }) => rejected),
      'rejected',
      scores,
    ),
  ];
  const mean = (of: 'chosen' | 'rejected') =>
    Number((scores.reduce((sum, score) => sum + score[of], 0) / scores.length).toPrecision(4));
  return {
    name: `run-${run + 1}-pair-rewards`,
    run,
    section: 'pairs',
    title: 'Rewards of chosen and rejected answers',
    description: `Rewards of ${scores.length} pairs: chosen answers have ${mean('chosen')} on average, rejected ones ${mean('rejected')}.`,
    spec: ({ chosen, rejected }) => ({
      width: 300,
      height: 150,
      data: { values },
      mark: { type: 'area', interpolate: 'step', opacity: 0.35, line: { strokeWidth: 2 } },
      encoding: {
        x: { field: 'reward', type: 'quantitative', title: 'reward', axis: { grid: false, tickCount: 6 } },
        y: { field: 'pairs', type: 'quantitative', title: 'pairs', stack: null, axis: { tickCount: 4 } },
        color: {
          field: 'answer',
          type: 'nominal',
          scale: {
            domain: ['chosen', 'rejected'],
            range: [chosen, rejected],
          },
        },
      },
    }),
  };
}

/** Counts in bins that both kinds of answers share, with an empty one at each end. */
function binned(
  rewards: readonly number[],
  answer: string,
  scores: readonly { chosen: number; rejected: number }[],
): { reward: number; pairs: number; answer: string }[] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const { chosen, rejected } of scores) {
    low = Math.min(low, chosen, rejected);
    high = Math.max(high, chosen, rejected);
  }
  const width = (high - low || 1) / BINS;
  const counts = new Array<number>(BINS + 2).fill(0);
  for (const reward of rewards) {
    const bin = Math.min(BINS - 1, Math.floor((reward - low) / width)) + 1;
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts.map((pairs, bin) => ({ reward: low + (bin - 0.5) * width, pairs, answer }));
}
