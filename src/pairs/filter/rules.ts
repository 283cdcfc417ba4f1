/** The rules of the quality filter, in the order in which they are tried. */
import { createHash } from 'node:crypto';
import { refusalIn } from '../refusals.js';
import { answerText, type PairCandidate } from './candidate.js';
import { feedbackTalk } from './feedback-talk.js';
import { orderToRewrite, repeatsFollowUp } from './follow-up-echo.js';
import { languageOf } from './language.js';
import type { ResolvedFilterOptions } from './options.js';
import { asksForLanguage, asksForMore } from './requests.js';
import { textChange } from './text-change.js';

type OptionsOf<Value> = {
  [Name in keyof ResolvedFilterOptions]: ResolvedFilterOptions[Name] extends Value ? Name : never;
}[keyof ResolvedFilterOptions];

interface RuleBase {
  /** What a pair is counted under that the rule drops. */
  reason: string;
  needsRewards: boolean;
}

/** A rule with a number to compare with; `null` is off. */
export interface ThresholdRule extends RuleBase {
  kind: 'threshold';
  option: Exclude<OptionsOf<number | null>, OptionsOf<boolean>>;
  /** Values that a preview tries beside the configured one and off. */
  grid: readonly number[];
  /** What is compared; undefined where the pair has no rewards. */
  measure(candidate: PairCandidate): number | undefined;
  keeps(measured: number, threshold: number): boolean;
  describe(measured: number, threshold: number): string;
}

/** A rule that is on or off. */
export interface SwitchRule extends RuleBase {
  kind: 'switch';
  option: Exclude<OptionsOf<boolean>, 'filter'>;
  /** What speaks against the pair; null for nothing, undefined where it has no rewards. */
  finds(candidate: PairCandidate): string | null | undefined;
}

export type Rule = ThresholdRule | SwitchRule;

/** Below this length an original's own length says little: three words may well become a sentence. */
const SHORT_ANSWER = 200;

/**
 * The rules; those that need rewards are last. They are made anew for each pass over pairs, because the one that finds
 * duplicates remembers what it has seen.
 */
export function filterRules(): Rule[] {
  return [duplicates(), ...TEXT_RULES, ...REWARD_RULES];
}

function duplicates(): SwitchRule {
  const seen = new Set<string>();
  return {
    kind: 'switch',
    option: 'dropDuplicates',
    reason: 'duplicate',
    needsRewards: false,
    finds({ pair: { prompt, chosen, rejected, persona } }) {
      const content = JSON.stringify([prompt, chosen, rejected, persona ?? null]);
      const key = createHash('sha256').update(content).digest('base64');
      if (seen.has(key)) return 'an earlier pair is the same';
      seen.add(key);
      return null;
    },
  };
}

const TEXT_RULES: readonly Rule[] = [
  {
    kind: 'threshold',
    option: 'minRejectedCharacters',
    reason: 'rejected-too-short',
    needsRewards: false,
    grid: [500, 1000, 1878, 3000],
    measure: ({ pair }) => characters(answerText(pair.rejected)),
    keeps: (measured, threshold) => measured >= threshold,
    describe: (measured, threshold) => `${measured} characters, fewer than ${threshold}`,
  },
  {
    kind: 'threshold',
    option: 'maxPromptCharacters',
    reason: 'prompt-too-long',
    needsRewards: false,
    grid: [4000, 8000, 16_000, 32_000],
    measure: ({ pair }) => pair.prompt.reduce((sum, { content }) => sum + characters(content), 0),
    keeps: (measured, threshold) => measured <= threshold,
    describe: (measured, threshold) => `${measured} characters, more than ${threshold}`,
  },
  {
    kind: 'threshold',
    option: 'minChange',
    reason: 'unchanged',
    needsRewards: false,
    grid: [0.01, 0.02, 0.05, 0.1],
    measure: ({ pair }) => textChange(answerText(pair.rejected), answerText(pair.chosen)),
    keeps: (measured, threshold) => measured > 0 && measured >= threshold,
    describe: (measured, threshold) =>
      `${measured.toFixed(4)} of the answer is changed, less than ${threshold}`,
  },
  {
    kind: 'switch',
    option: 'dropRefusals',
    reason: 'refusal',
    needsRewards: false,
    finds: ({ pair }) => refusalIn(answerText(pair.chosen)) ?? null,
  },
  {
    kind: 'switch',
    option: 'dropEchoes',
    reason: 'echo',
    needsRewards: false,
    finds: echo,
  },
  {
    kind: 'switch',
    option: 'dropFeedbackTalk',
    reason: 'talks-about-feedback',
    needsRewards: false,
    finds: ({ pair, ranking }) =>
      ranking === undefined
        ? (feedbackTalk(answerText(pair.chosen), answerText(pair.rejected)) ?? null)
        : null,
  },
  {
    kind: 'switch',
    option: 'dropOtherLanguage',
    reason: 'other-language',
    needsRewards: false,
    finds: otherLanguage,
  },
  {
    kind: 'threshold',
    option: 'maxLengthRatio',
    reason: 'much-longer',
    needsRewards: false,
    grid: [1.5, 2, 3, 5],
    measure: lengthRatio,
    keeps: (measured, threshold) => measured <= threshold,
    describe: (measured, threshold) => `${measured.toFixed(1)} times as long, more than ${threshold}`,
  },
];

const REWARD_RULES: readonly Rule[] = [
  {
    kind: 'switch',
    option: 'requireImprovement',
    reason: 'reward-below-original',
    needsRewards: true,
    finds: ({ pair: { scores } }) =>
      scores === undefined
        ? undefined
        : scores.chosen < scores.rejected
          ? `${scores.chosen} is below ${scores.rejected}`
          : null,
  },
  {
    kind: 'threshold',
    option: 'minRejectedReward',
    reason: 'rejected-reward-too-low',
    needsRewards: true,
    grid: [-3, -2, -1, 0],
    measure: ({ pair }) => pair.scores?.rejected,
    keeps: (measured, threshold) => measured >= threshold,
    describe: (measured, threshold) => `${measured} is below ${threshold}`,
  },
  {
    kind: 'threshold',
    option: 'maxRewardGap',
    reason: 'reward-gap-too-large',
    needsRewards: true,
    grid: [0.5, 1, 2, 4],
    measure: rewardGap,
    keeps: (measured, threshold) => measured <= threshold,
    describe: (measured, threshold) => `${measured} is above ${threshold}`,
  },
  {
    kind: 'threshold',
    option: 'minRewardGap',
    reason: 'reward-gap-too-small',
    needsRewards: true,
    grid: [0.1, 0.5, 1],
    measure: rewardGap,
    keeps: (measured, threshold) => measured >= threshold,
    describe: (measured, threshold) => `${measured} is below ${threshold}`,
  },
];

/** Characters as people count them, near enough: code points. */
function characters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

function rewardGap({ pair: { scores } }: PairCandidate): number | undefined {
  return scores === undefined ? undefined : scores.chosen - scores.rejected;
}

function lengthRatio({ pair, followUp, ranking }: PairCandidate): number {
  const [chosen, rejected] = [answerText(pair.chosen), answerText(pair.rejected)];
  if (ranking !== undefined || (followUp !== undefined && asksForMore(followUp))) return 0;
  return characters(chosen) / Math.max(characters(rejected), SHORT_ANSWER);
}

function echo({ pair, followUp }: PairCandidate): string | null {
  const [chosen, rejected] = [answerText(pair.chosen), answerText(pair.rejected)];
  if (followUp === undefined) return null;
  if (repeatsFollowUp(followUp, chosen)) return 'it is what the user said, over again';
  const order = orderToRewrite(rejected) === undefined ? orderToRewrite(chosen) : undefined;
  return order === undefined ? null : `it orders a rewrite: ${order}`;
}

function otherLanguage({ pair, followUp = '' }: PairCandidate): string | null {
  const before = languageOf(answerText(pair.rejected));
  const after = languageOf(answerText(pair.chosen));
  if (before === undefined || after === undefined || before === after) return null;
  if (asksForLanguage(followUp, after)) return null;
  const request = pair.prompt.at(-1)?.content ?? '';
  return languageOf(request) === after ? null : `${after} where the original is in ${before}`;
}
