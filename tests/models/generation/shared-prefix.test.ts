/** Prompts that begin alike: the beginning computed once, the same numbers. */

import { afterAll, describe, expect, it } from 'vitest';
import { createRandom } from '../../../src/data/random.js';
import { disposeGeneration, generate, loadForGeneration } from '../../../src/models/generation/generate.js';
import { LIMITS, promptCache } from '../../../src/models/generation/prompt-cache.js';
import {
  type LabelQuestion,
  scoreAllLabels,
  scoreLabels,
} from '../../../src/models/generation/score-labels.js';
import { SharedPrefix } from '../../../src/models/generation/shared-prefix.js';
import { disposeAll, memory } from '../../../src/runtime/tensor.js';
import { worstError } from '../../support/worst-error.js';
import { modelOf, randomWeights, smallConfig } from '../decoder/support.js';
import { fullPassLogps, idsOf } from './support.js';

const config = smallConfig({ maxPositionEmbeddings: 200 });
const model = modelOf(config, randomWeights(config, 51, 0.4));
afterAll(() => model.dispose());

const random = createRandom(52);
const tokens = (length: number) => Array.from({ length }, () => random.int(config.vocabSize));
const BEGINNING = tokens(60);
/** Behind a first token that tells them apart, so that the beginning is all they have in common. */
const promptsBehind = (beginning: readonly number[], count: number) =>
  Array.from({ length: count }, (_, i) => [...beginning, i, ...tokens(1 + (i % 4))]);

async function coverage(prefix: SharedPrefix, prompts: readonly (readonly number[])[]): Promise<number> {
  const loaded = loadForGeneration(model, true);
  try {
    return await prefix.cover(loaded, prompts, undefined, LIMITS);
  } finally {
    disposeGeneration(loaded);
  }
}

async function expectRightScores(questions: readonly LabelQuestion[], prefix: SharedPrefix): Promise<void> {
  const scores = await scoreAllLabels(model, questions, { prefix });
  for (const [i, { prompt, labels }] of questions.entries()) {
    for (const [j, label] of labels.entries()) {
      const full = await fullPassLogps(model, prompt, label);
      expect(worstError(scores[i]![j]!.logprobs, full)).toBeLessThan(2e-5);
    }
  }
}

describe('a shared beginning', () => {
  it('is held where it saves enough, cut and lengthened as prompts come, and given up for others', async () => {
    const prefix = new SharedPrefix();
    expect(await coverage(prefix, promptsBehind(BEGINNING, 2))).toBe(0);
    expect(await coverage(prefix, promptsBehind(BEGINNING, 8))).toBe(60);
    expect(await coverage(prefix, [[...BEGINNING, 1]])).toBe(60);
    expect(await coverage(prefix, promptsBehind(BEGINNING.slice(0, 50), 8))).toBe(50);
    expect(await coverage(prefix, promptsBehind([...BEGINNING, ...tokens(40)], 8))).toBe(100);
    expect(await coverage(prefix, promptsBehind([28, ...tokens(60)], 8))).toBe(61);
    expect(await coverage(prefix, [[5]])).toBe(0);
    prefix.dispose();
  });

  it('leaves each prompt a token of its own', async () => {
    const prefix = new SharedPrefix();
    const same = Array.from({ length: 8 }, () => BEGINNING);
    expect(await coverage(prefix, same)).toBe(59);
    prefix.dispose();
  });

  it('gives the scores of a full pass, whatever was held before', async () => {
    const before = memory();
    const prefix = new SharedPrefix();
    const labels = [[3], [7, 8, 9], [7, 8]];
    for (const beginning of [BEGINNING, BEGINNING.slice(0, 50), [...BEGINNING, ...tokens(40)]]) {
      const questions = promptsBehind(beginning, 8).map((prompt, i) => ({
        prompt,
        labels: labels.slice(0, 1 + (i % 3)),
      }));
      await expectRightScores(questions, prefix);
    }
    prefix.dispose();
    expect(memory()).toEqual(before);
  });

  it('gives the same scores where prompts come in several groups and blocks', async () => {
    const before = memory();
    const prefix = new SharedPrefix();
    const loaded = loadForGeneration(model, true);
    const prompts = promptsBehind(BEGINNING, 8);
    const whole = await promptCache(loaded, prompts, undefined);
    const small = { scoresBytes: 4 * config.numHeads * 65 * 2, tokens: 10 };
    const cut = await promptCache(loaded, prompts, undefined, small, prefix);
    expect(cut.lengths).toEqual(whole.lengths);
    expect(worstError(cut.hidden.toNumbers(), whole.hidden.toNumbers())).toBeLessThan(1e-5);
    disposeAll([whole, cut, loaded.head32, loaded.factors]);
    prefix.dispose();
    expect(memory()).toEqual(before);
  });

  it('frees everything when it is stopped', async () => {
    const before = memory();
    const prefix = new SharedPrefix();
    const questions = promptsBehind(BEGINNING, 8).map((prompt) => ({ prompt, labels: [[1]] }));
    const signal = AbortSignal.abort(new Error('stopped'));
    await expect(scoreAllLabels(model, questions, { prefix, signal })).rejects.toThrow('stopped');
    prefix.dispose();
    expect(memory()).toEqual(before);
  });
});

describe('questions together', () => {
  it('get the scores they get alone, also without labels', async () => {
    const questions = [
      { prompt: [4, 9], labels: [[3], [7, 8, 9, 3]] },
      { prompt: [1], labels: [] },
      { prompt: tokens(20), labels: [[5, 5, 5], [2], [6]] },
    ];
    const together = await scoreAllLabels(model, questions);
    for (const [i, { prompt, labels }] of questions.entries()) {
      const alone = await scoreLabels(model, prompt, labels);
      expect(together[i]!.map(({ logprobs }) => logprobs.length)).toEqual(labels.map(({ length }) => length));
      for (const [j, { logprob }] of alone.entries())
        expect(together[i]![j]!.logprob).toBeCloseTo(logprob, 4);
    }
  });
});

describe('equal prompts with seeds of their own', () => {
  it('draw what they draw alone, in any order', async () => {
    const [a, b] = [tokens(9), tokens(9)];
    const options = { temperature: 1, maxNewTokens: 8, stopTokenIds: [] };
    const seeds = [11, 12, 13, 14, 15];
    const prompts = [a, b, a, b, a];
    const together = idsOf(await generate(model, prompts, { ...options, seed: seeds }));
    for (const [i, prompt] of prompts.entries()) {
      expect(together[i]).toEqual(
        idsOf(await generate(model, [prompt], { ...options, seed: [seeds[i]!] }))[0],
      );
    }
    expect(new Set([together[0], together[2], together[4]].map(String)).size).toBeGreaterThan(1);
  });
});
