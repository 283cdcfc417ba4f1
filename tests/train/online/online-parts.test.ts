import { describe, expect, it } from 'vitest';
import { choosePair } from '../../../src/train/online/choose-pair.js';
import {
  type GuardedStep,
  NO_GUARD_STATE,
  newWarnings,
  repetitionOf,
  watchStep,
} from '../../../src/train/online/guards.js';
import { heldOutMetrics } from '../../../src/train/online/held-out-reward.js';
import { divergenceMetrics, rolloutMetrics } from '../../../src/train/online/rollout-metrics.js';
import type { Group, ScoredSample } from '../../../src/train/online/rollouts.js';
import { seedOf } from '../../../src/train/online/seeds.js';

const sample = (text: string, reward: number | null, length = 3): ScoredSample => ({
  ...{ text, reward, finishReason: 'stop' },
  ids: Array.from({ length }, (_, i) => i),
});
const prompt = { id: 'p', messages: [], shown: [], promptIds: [1] };
const group = (...samples: ScoredSample[]): Group => ({ prompt, samples });
const unshuffled = { shuffleSeed: null };

describe('the pair of a group', () => {
  it('is of the highest and the lowest reward, whatever their sign', () => {
    const samples = [sample('a', -2), sample('b', 1.5), sample('c', -7), sample('d', 0)];
    expect(choosePair(samples, unshuffled)).toEqual({ chosen: 1, rejected: 2 });
  });

  it('takes the first of equal rewards, and each text once', () => {
    const samples = [sample('a', 1), sample('b', 1), sample('c', 0), sample('c', 0), sample('d', 0)];
    expect(choosePair(samples, unshuffled)).toEqual({ chosen: 0, rejected: 2 });
  });

  it.each([
    ['one text only', [sample('a', 1), sample('a', 1)], 'too-few-answers'],
    ['one answer with words only', [sample('', null), sample('a', 1)], 'too-few-answers'],
    ['no answers', [], 'too-few-answers'],
    ['equal rewards', [sample('a', 1), sample('b', 1)], 'equal-rewards'],
  ])('is none of %s', (_, samples, reason) => {
    expect(choosePair(samples, unshuffled)).toEqual({ reason });
  });

  it('under shuffled rewards is any pair, the same for the same seed, never of equal texts', () => {
    const samples = ['a', 'b', 'b', 'c', 'd'].map((text) => sample(text, text.charCodeAt(0)));
    const choices = Array.from({ length: 200 }, (_, i) => choosePair(samples, { shuffleSeed: i }));
    expect(choosePair(samples, { shuffleSeed: 3 })).toEqual(choices[3]);
    const chosen = choices.map((choice) => ('chosen' in choice ? choice.chosen : -1));
    const counts = [0, 1, 2, 3, 4].map((index) => chosen.filter((each) => each === index).length);
    // Four different answers, each as good as the other; the second b stands behind the first.
    expect(counts[2]).toBe(0);
    for (const index of [0, 1, 3, 4]) expect(counts[index]).toBeGreaterThan(25);
  });
});

describe('seeds', () => {
  it('are whole numbers below 2^53 that differ for each purpose, step and place', () => {
    const seeds = [
      ...[seedOf(1, 'samples', 0, 0), seedOf(1, 'samples', 0, 1), seedOf(1, 'samples', 1, 0)],
      ...[seedOf(1, 'shuffle', 0, 0), seedOf(2, 'samples', 0, 0), seedOf(1, 'samples', 11, 1)],
      seedOf(1, 'samples', 1, 11),
    ];
    expect(new Set(seeds).size).toBe(seeds.length);
    for (const seed of seeds) expect(Number.isSafeInteger(seed) && seed >= 0).toBe(true);
    expect(seedOf(1, 'samples', 0, 0)).toBe(seeds[0]);
  });
});

describe('metrics of samples', () => {
  it('are means over samples and over groups as they say', () => {
    const metrics = rolloutMetrics([
      group(sample('a', 1, 2), { ...sample('b', 3, 4), finishReason: 'length' }),
      group(sample('c', 5, 6), sample('', null, 1)),
    ]);
    expect(metrics).toMatchObject({
      ...{ reward: 3, reward_std: 0.5, reward_max: 4, reward_min: 3, frac_reward_zero_std: 0.5 },
      ...{ 'completions/mean_length': 3.25, 'completions/min_length': 1, 'completions/max_length': 6 },
      ...{ 'completions/clipped_ratio': 0.25, 'completions/empty_ratio': 0.25 },
    });
    expect(rolloutMetrics([group(sample('', null))])).not.toHaveProperty('reward');
  });

  it('repetition is the share of runs of four tokens that came before', () => {
    expect(repetitionOf([1, 2, 3])).toBe(0);
    expect(repetitionOf([1, 2, 3, 4, 5])).toBe(0);
    // Runs: 1212, 2121, 1212, 2121, 1212.
    expect(repetitionOf([1, 2, 1, 2, 1, 2, 1, 2])).toBeCloseTo(1 - 2 / 5);
    expect(repetitionOf(new Array(103).fill(7))).toBeCloseTo(0.99);
  });

  it('divergence is the sum over an answer, and its share of a token', () => {
    const reference = [{ chosen: Float32Array.of(-1, -2), rejected: Float32Array.of(-4) }];
    const metrics = divergenceMetrics([{ chosen: -2, rejected: -6 }], reference);
    expect(metrics).toEqual({
      ...{ 'objective/kl': (1 - 2) / 2, 'objective/kl_per_token': (1 - 2) / 3, 'objective/entropy': 4 },
    });
    expect(divergenceMetrics([], [])).toEqual({});
  });
});

describe('the held-out reward', () => {
  it("has Student's interval over prompts", () => {
    // scipy.stats.t.interval(0.95, 4, loc=3, scale=scipy.stats.sem([1, 2, 3, 4, 5]))
    const { eval_reward, eval_reward_low, eval_reward_high } = heldOutMetrics([1, 2, 3, 4, 5], null);
    expect(eval_reward).toBe(3);
    expect(eval_reward_low).toBeCloseTo(1.0368, 3);
    expect(eval_reward_high).toBeCloseTo(4.9632, 3);
  });

  it('compares each prompt with itself, where both have rewards', () => {
    const metrics = heldOutMetrics([2, 13, null, 5], [1, 10, 7, null]);
    expect(metrics.eval_reward_change).toBe(2);
    expect(metrics.eval_reward_change_low).toBeCloseTo(2 - 12.7062, 3);
    expect(heldOutMetrics([null], null)).toEqual({});
    expect(heldOutMetrics([4], null)).toEqual({ eval_reward: 4 });
  });
});

describe('guards', () => {
  const options = { guardWindow: 2, maxLengthDrift: 2, maxRepetition: 0.5, maxKl: 0.1 };
  const fine: GuardedStep = { meanLength: 10, repetition: 0, klPerToken: 0 };
  const watched = (...steps: Partial<GuardedStep>[]) =>
    steps.reduce((state, step) => watchStep(state, { ...fine, ...step }, options), NO_GUARD_STATE);
  const passed = (...steps: Partial<GuardedStep>[]) => watched(...steps).passed.map(({ guard }) => guard);

  it('are silent as long as nothing happens', () => {
    expect(passed({}, {}, {}, {})).toEqual([]);
  });

  it.each([
    ['longer samples', { meanLength: 25 }, 'length', /longer: 25.0 tokens, 10.0 in the first steps/],
    ['shorter samples', { meanLength: 4 }, 'length', /shorter: 4.0 tokens/],
    ['repetition', { repetition: 0.6 }, 'repetition', /60% of their runs of 4 tokens/],
    ['divergence', { klPerToken: 0.2 }, 'kl', /KL 0.200 nats a token/],
  ])('see %s over a whole window, not in one step', (_, step, guard, message) => {
    expect(passed({}, {}, step)).toEqual([]);
    const state = watched({}, {}, step, step);
    expect(state.passed).toEqual([
      expect.objectContaining({ guard, message: expect.stringMatching(message) }),
    ]);
  });

  it('tell a sign once, and again after it was gone', () => {
    const bad = { repetition: 1 };
    const first = watched({}, bad, bad);
    const second = watchStep(first, { ...fine, ...bad }, options);
    expect(newWarnings(watched({}, bad), first)).toHaveLength(1);
    expect(newWarnings(first, second)).toEqual([]);
    const gone = watchStep(watchStep(second, fine, options), fine, options);
    expect(gone.passed).toEqual([]);
  });

  it('may be switched off one by one, and pass over steps without a pair', () => {
    const off = { ...options, maxLengthDrift: null, maxRepetition: null, maxKl: null };
    const wild: GuardedStep = { meanLength: 900, repetition: 1, klPerToken: 9 };
    const state = [fine, fine, wild, wild].reduce((s, step) => watchStep(s, step, off), NO_GUARD_STATE);
    expect(state.passed).toEqual([]);
    expect(passed({ klPerToken: null }, { klPerToken: null })).toEqual([]);
  });
});
