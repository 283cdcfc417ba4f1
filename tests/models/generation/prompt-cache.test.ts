/** Prompts in blocks and groups: the same caches and scores however they are cut. */

import { afterAll, describe, expect, it } from 'vitest';
import { disposeGeneration, loadForGeneration } from '../../../src/models/generation/generate.js';
import {
  type BlockLimits,
  gatherRows,
  groupPrompts,
  type PromptCache,
  promptCache,
} from '../../../src/models/generation/prompt-cache.js';
import { disposeAll, memory, scope } from '../../../src/runtime/tensor.js';
import { worstError } from '../../support/worst-error.js';
import { modelOf, randomWeights, smallConfig } from '../decoder/support.js';

const config = smallConfig({ slidingWindow: 6 });
const model = modelOf(config, randomWeights(config, 41, 0.4));
const loaded = loadForGeneration(model, true);
afterAll(() => {
  disposeGeneration(loaded);
  model.dispose();
});
const prompt = (length: number, step: number) => Array.from({ length }, (_, i) => (3 + i * step) % 29);
const PROMPTS = [prompt(13, 5), prompt(4, 7), prompt(1, 1), prompt(11, 3)];

const numbers = (cache: PromptCache, index: number) => [
  ...scope(() => gatherRows(cache.hidden, [index], 0).toNumbers()),
  ...[...cache.keys, ...cache.values].flatMap((of) => {
    const [, , longest, width] = of.shape as [number, number, number, number];
    const values = scope(() => gatherRows(of, [index], 1).toNumbers());
    // Without the padding, which any value may stand in.
    return values.filter((_, i) => Math.floor(i / width) % longest < cache.lengths[index]!);
  }),
];

describe('the cache of prompts', () => {
  it.each<[string, Partial<BlockLimits>]>([
    ['together', {}],
    ['each alone', { tokens: 13 }],
    ['in blocks of five tokens', { scoresBytes: 4 * config.numHeads * 13 * 5 }],
    ['in blocks of one token', { tokens: 1 }],
  ])('is the same, computed %s', async (_name, limits) => {
    const before = memory();
    const whole = { scoresBytes: 1e9, tokens: 1e6 };
    const cache = await promptCache(loaded, PROMPTS, undefined, { ...whole, ...limits });
    expect(cache.lengths).toEqual([13, 4, 1, 11]);
    for (const [i, each] of PROMPTS.entries()) {
      const alone = await promptCache(loaded, [each], undefined, whole);
      expect(worstError(numbers(cache, i), numbers(alone, 0))).toBeLessThan(1e-5);
      disposeAll(alone);
    }
    disposeAll(cache);
    expect(memory()).toEqual(before);
  });
});

describe('groups of prompts', () => {
  it('stay within tokens and scores, padding included', () => {
    const lengths = (limits: BlockLimits) =>
      groupPrompts(PROMPTS, 4, limits).map((group) => group.map(({ length }) => length));
    expect(lengths({ scoresBytes: 1e9, tokens: 100 })).toEqual([[13, 4, 1, 11]]);
    expect(lengths({ scoresBytes: 1e9, tokens: 26 })).toEqual([
      [13, 4],
      [1, 11],
    ]);
    expect(lengths({ scoresBytes: 4 * 4 * 3 * 13 * 13, tokens: 100 })).toEqual([[13, 4, 1], [11]]);
    expect(lengths({ scoresBytes: 1, tokens: 1 })).toEqual([[13], [4], [1], [11]]);
  });
});
