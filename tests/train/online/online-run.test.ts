import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RewardScorer } from '../../../src/rewards/reward-model.js';
import { memory } from '../../../src/runtime/tensor.js';
import type { OnlineTrainOptions } from '../../../src/train/online/options.js';
import {
  type FinishedRun,
  mean,
  type OnlineWorkshop,
  openOnlineWorkshop,
  PROMPTS,
  scriptedScorer,
  vowelScorer,
  weightBytes,
} from './support.js';

let workshop: OnlineWorkshop;
beforeAll(() => {
  workshop = openOnlineWorkshop();
});
afterAll(() => workshop.close());

const lora: Partial<OnlineTrainOptions> = {
  ...{ usePeft: true, loraTargetModules: 'all-linear', learningRate: 1e-2 },
};
const longer: Partial<OnlineTrainOptions> = {
  ...{ maxSteps: 8, numGenerations: 6, perDeviceTrainBatchSize: 6 },
};

function rewardsOf({ rows }: FinishedRun): number[] {
  return rows.map(({ reward }) => reward as number);
}

describe('what is learnt', () => {
  it.each([
    ['an adapter', lora],
    ['all weights in bfloat16', { learningRate: 5e-3, dtype: 'bfloat16' }],
    ['an adapter by another loss', { ...lora, lossType: 'ipo', beta: 0.1 }],
  ] as const)('is what is rewarded, on held-out prompts too: %s', async (name, options) => {
    const evalPrompts = join(workshop.folder, 'held-out.jsonl');
    writeFileSync(
      evalPrompts,
      ['over', 'or under', 'there'].map((prompt) => `${JSON.stringify({ prompt })}\n`).join(''),
    );
    const run = await workshop.run(`learns ${name}`, { ...longer, ...options, evalPrompts });
    const rewards = rewardsOf(run);
    expect(mean(rewards.slice(-3))).toBeGreaterThan(2 * mean(rewards.slice(0, 3)));
    expect(run.evaluations.map(({ step }) => step)).toEqual([0, 8]);
    expect(run.evaluations[1]?.eval_reward_change_low).toBeGreaterThan(0);
  });

  it('is nothing where rewards are shuffled within their groups', async () => {
    const { prompts } = workshop.options('');
    const run = await workshop.run('shuffled', {
      ...longer,
      ...lora,
      shuffleRewards: true,
      evalPrompts: prompts,
    });
    expect(run.evaluations[1]?.eval_reward_change).toBeLessThan(0.1);
    // The rewards themselves are logged as they are.
    const margins = run.rows.map(({ reward_margin }) => reward_margin as number);
    expect(margins.some((margin) => margin < 0)).toBe(true);
  });

  it('is not the reference: the policy begins at no distance from it, and leaves', async () => {
    for (const [kind, options] of [
      ['full', {}],
      ['lora', lora],
    ] as const) {
      const run = await workshop.run(`distance ${kind}`, options);
      const kl = run.rows.map((row) => Math.abs(row['objective/kl'] as number));
      expect(kl[0]).toBeLessThan(1e-4);
      expect(kl.at(-1)).toBeGreaterThan(1e-2);
    }
  });
});

describe('a step', () => {
  it('pairs the best with the worst sample of each prompt, and logs all of them', async () => {
    const scorer = vowelScorer();
    const run = await workshop.run('books', {}, { scorer });
    expect(run.rollouts).toHaveLength(12);
    for (const row of run.rollouts) {
      expect(row.completions).toHaveLength(4);
      expect(PROMPTS.find(({ id }) => id === row.prompt_id)).toMatchObject({ prompt: row.prompt });
      const rewards = row.completions.map(({ reward }) => reward as number);
      if (row.chosen === null) {
        expect(row.no_pair).toBe(new Set(rewards).size === 1 ? 'equal-rewards' : 'too-few-answers');
        continue;
      }
      expect(rewards[row.chosen]).toBe(Math.max(...rewards));
      expect(rewards[row.rejected as number]).toBe(Math.min(...rewards));
    }
    const first = run.rollouts.slice(0, 3).flatMap(({ completions }) => completions);
    expect(run.rows[0]?.reward).toBeCloseTo(mean(first.map(({ reward }) => reward as number)), 10);
    expect(run.rows[0]?.['completions/mean_length']).toBe(mean(first.map(({ tokens }) => tokens)));
    const without = run.rollouts.filter(({ chosen }) => chosen === null).length;
    expect(run.summary.groups.total).toBe(12);
    expect(Object.values(run.summary.groups.withoutPair).reduce((sum, n) => sum + n, 0)).toBe(without);
  });

  it('shows the persona to policy and reward model, by a switch each', async () => {
    const personasSeen = async (name: string, options: Partial<OnlineTrainOptions>) => {
      const scorer = vowelScorer();
      await workshop.run(name, { ...options, maxSteps: 2 }, { scorer });
      return new Set(scorer.requests.map(({ persona }) => persona));
    };
    const based = await personasSeen('user-based', {});
    expect(based).toEqual(new Set(['likes the hello', 'likes the the sun', 'likes the and then', undefined]));
    expect(await personasSeen('policy without', { persona: false })).toEqual(based);
    expect(await personasSeen('user-agnostic', { userBasedRewards: false })).toEqual(new Set([undefined]));
  });

  it('without any usable pair updates nothing and goes on', async () => {
    const scorer = scriptedScorer(() => 1);
    const run = await workshop.run('ties', lora, { scorer });
    expect(run.summary.groups.withoutPair).toEqual({ 'equal-rewards': 12 });
    for (const row of run.rows) {
      expect(row).toMatchObject({ frac_groups_without_pair: 1, frac_reward_zero_std: 1, reward: 1 });
      expect(row).not.toHaveProperty('loss');
    }
    const untouched = await workshop.run('ties again', { ...lora, maxSteps: 1 }, { scorer });
    expect(weightBytes(run).equals(weightBytes(untouched))).toBe(true);
  });

  it('takes the penalty off rewards of samples that were cut', async () => {
    const cut = await workshop.run('penalty', { missingEosPenalty: 5 }, { scorer: scriptedScorer(() => 1) });
    for (const { completions } of cut.rollouts) {
      for (const { reward, finish_reason } of completions)
        expect(reward).toBe(finish_reason === 'length' ? -4 : 1);
    }
  });

  it('leaves no tensor behind', async () => {
    await workshop.run('warm', lora);
    const before = memory().tensors;
    await workshop.run('again', lora);
    await workshop.run('all weights again');
    expect(memory().tensors).toBe(before);
  });

  it('is scored while the next prompts are being answered', async () => {
    let written = 0;
    const waiting: { written: number; resolve: () => void }[] = [];
    const order: string[] = [];
    const scorer: RewardScorer = {
      identity: 'one that waits',
      async score({ prompt, candidates }) {
        order.push(`asked ${written}`);
        // Ends only when a further group has been written: a loop that waited for scores first would never end.
        const target = Math.min(3, written + 1);
        if (written < target)
          await new Promise<void>((resolve) => waiting.push({ written: target, resolve }));
        order.push(`scored ${prompt.length}`);
        return candidates.map(({ length }) => length);
      },
    };
    const run = await workshop.run(
      'overlap',
      // As many sequences at a time as one prompt has samples: groups are written one after another.
      { maxSteps: 1, generationBatchSize: 4 },
      {
        scorer,
        onEvent(event) {
          if (event.type !== 'rollout') return;
          written = event.written;
          for (const each of waiting) if (written >= each.written) each.resolve();
        },
      },
    );
    expect(order.filter((each) => each.startsWith('asked'))).toEqual([
      'asked 1',
      expect.anything(),
      'asked 3',
    ]);
    const progress = run.events.flatMap((event) => (event.type === 'rollout' ? [event] : []));
    expect(progress.some((event) => event.written > event.scored + 1)).toBe(true);
    expect(progress.at(-1)).toMatchObject({ written: 3, scored: 3, total: 3, set: 'train', step: 0 });
  });
});

describe('signs of reward hacking', () => {
  const same = scriptedScorer((text) => -new Set(text).size / text.length, 'the more of the same the better');

  it('are told once, and the run goes on', async () => {
    const run = await workshop.run(
      'warned',
      { ...longer, ...lora, numGenerations: 8, guardWindow: 1, maxRepetition: 0.1, maxKl: null },
      { scorer: same },
    );
    const warnings = run.events.flatMap((event) => (event.type === 'reward-hacking' ? [event] : []));
    expect(warnings).toEqual([expect.objectContaining({ guard: 'repetition' })]);
    expect(run.summary).toMatchObject({ outcome: 'finished', step: 8, warnings: [{ guard: 'repetition' }] });
  });

  it('stop the run where that is asked for, with everything saved', async () => {
    const run = await workshop.run(
      'stopped',
      { ...longer, ...lora, guardWindow: 1, maxKl: 0.01, onRewardHacking: 'stop' },
      { scorer: same },
    );
    expect(run.summary).toMatchObject({ outcome: 'stopped-early', warnings: [{ guard: 'kl' }] });
    expect(run.summary.step).toBeLessThan(8);
    expect(run.summary.checkpoint).toMatch(new RegExp(`checkpoint-${run.summary.step}$`));
    expect(weightBytes(run).byteLength).toBeGreaterThan(0);
    const saved = JSON.parse(readFileSync(join(run.outputDir, 'summary.json'), 'utf8'));
    expect(saved.outcome).toBe('stopped-early');
  });
});
