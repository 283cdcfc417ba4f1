import { join } from 'node:path';
import { wilsonInterval } from '../eval/statistics/wilson.js';
import type { StageSummary } from '../run/pipeline.js';
import type { RankingReport } from '../run/ranking-report.js';
import { formatTable, shellWord } from './format.js';
import type { BeforeAfter, HeldOutScores } from './held-out.js';
import type { QuickstartReward } from './quickstart-reward.js';
import { funnelTable } from './run-display.js';
import { wrap } from './wrap.js';

/** What the quickstart found; with `--json` this very object, and `results.json` in its folder. */
export interface QuickstartResults {
  /** The run's folder. */
  outputDir: string;
  adapter: string;
  plot: string;
  seconds: number;
  /** The page to look at; absent while it is not written yet. */
  report?: string;
  reward: QuickstartReward;
  ranking: RankingReport;
  /** What came in and went out of each stage. */
  stages: Pick<StageSummary, 'stage' | 'counts' | 'usage' | 'seconds'>[];
  all: HeldOutScores;
  usersInLog: HeldOutScores;
  newUsers: HeldOutScores;
  samples: { user: string; persona: string; request: string; before: string; after: string }[];
}

export function describeResults(results: QuickstartResults): string {
  const { stages, samples, adapter, plot, outputDir, report = '' } = results;
  const folder = shellWord(outputDir);
  return [
    '',
    'From log to pairs:',
    funnelTable(stages),
    '',
    ...describeRewards(results),
    '',
    heldOutTable(results),
    '',
    `The same request of two users: ${samples[0]?.request ?? ''}`,
    '',
    ...samples.flatMap(describeSample),
    `Report:  ${report}   (open it in a browser)`,
    `Plot:    ${plot}`,
    `Adapter: ${adapter}   Configuration: ${join(outputDir, 'config.yaml')}`,
    '',
    'Next:',
    `  npx persona-dpo inspect ${folder}            the pairs, and where each came from`,
    `  npx persona-dpo status ${folder}             what was dropped, and why`,
    '  npx persona-dpo run YOURS.yaml --dry-run    your own log: copy examples/quickstart/config.yaml and change its input',
  ].join('\n');
}

function describeRewards({ reward, ranking }: QuickstartResults): string[] {
  const { correct, pairs } = reward.heldOut;
  const { estimate, low, high } = wilsonInterval(correct, pairs);
  const percent = (share: number) => `${Math.round(100 * share)}%`;
  return [
    `The reward model ranks ${percent(estimate)} of ${pairs} held-out pairs right (${percent(low)} to ${percent(high)}).`,
    `Knowing the persona, it takes another best candidate for ${percent(ranking.bestDiffers.estimate)} of ${ranking.prompts} prompts.`,
  ];
}

function heldOutTable({ all, usersInLog, newUsers }: QuickstartResults): string {
  const percent = (share: number) => `${Math.round(100 * share)}%`;
  const nats = (value: number) => value.toFixed(1);
  const share = (label: string, { before, after }: BeforeAfter) => [label, percent(before), percent(after)];
  return formatTable([
    ['On held-out pairs', 'before', 'after'],
    share('the persona moves the model towards the preferred answer', all.accuracy),
    share(`  for users of the log (${usersInLog.pairs} pairs)`, usersInLog.accuracy),
    share(`  for users never seen (${newUsers.pairs} pairs)`, newUsers.accuracy),
    ['by how much, in nats', nats(all.pull.before), nats(all.pull.after)],
    ["reward accuracy, TRL's, against the untrained model", percent(0.5), percent(all.rewardAccuracy)],
    ['reward margin', '0.00', all.rewardMargin.toFixed(2)],
    share('the preferred answer is the likelier one per token', all.likelier),
  ]);
}

function describeSample({ user, persona, before, after }: QuickstartResults['samples'][number]): string[] {
  const indent = '    ';
  return [
    `${user} wants:`,
    wrap(persona, { indent }),
    '  before:',
    wrap(before, { indent }),
    '  after:',
    wrap(after, { indent }),
    '',
  ];
}
