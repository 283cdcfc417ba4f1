import { describe, expect, it } from 'vitest';
import { tokenLogits } from '../../../src/models/logits.js';
import { memory } from '../../../src/runtime/tensor.js';
import { worstError } from '../../support/worst-error.js';
import {
  accumulate,
  type Gradients,
  modelOf,
  randomPairs,
  randomWeights,
  rowGradients,
  rowLogps,
  smallConfig,
  wrongGradients,
} from './support.js';

describe('logits in chunks', () => {
  // 32 MiB hold 27 rows of such a vocabulary.
  const vocabSize = 310_000;

  it.each([false, true])('give what one chunk gives, tied %s', async (tieWordEmbeddings) => {
    const sizes = { vocabSize, hiddenSize: 4, intermediateSize: 6, numLayers: 1, numHeads: 1, headDim: 4 };
    const config = smallConfig({ ...sizes, numKeyValueHeads: 1, tieWordEmbeddings });
    const model = modelOf(config, randomWeights(config, 51));
    const pairs = randomPairs(5, 52, { vocabSize, longest: 13 });
    const lengths = pairs.map(({ chosenIds, rejectedIds }) => chosenIds.length + rejectedIds.length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(27);
    const total = lengths.reduce((a, b) => a + b, 0);
    expect(total).toBeGreaterThan(54);

    const before = memory();
    const slopes = Array.from({ length: total }, (_, i) => Math.cos(1.3 * i));
    const together = await rowGradients(model, pairs, () => slopes);
    expect(memory()).toEqual(before);
    expect(await rowLogps(model, pairs)).toEqual(together.logps);
    const alone: Gradients = {};
    const logps: number[] = [];
    let begin = 0;
    for (const [i, pair] of pairs.entries()) {
      const own = slopes.slice(begin, begin + lengths[i]!);
      const row = await rowGradients(model, [pair], () => own);
      logps.push(...row.logps);
      for (const [id, gradient] of Object.entries(row.gradients)) accumulate(alone, id, gradient);
      begin += lengths[i]!;
    }
    expect(worstError(together.logps, logps)).toBeLessThan(2e-6);
    expect(wrongGradients(together.gradients, alone, 1e-5)).toEqual({});
    model.dispose();
  });
});

describe('the logits of a sequence', () => {
  it('are refused for no tokens and for tokens that are not there', async () => {
    const config = smallConfig();
    const model = modelOf(config, randomWeights(config, 53));
    await expect(tokenLogits(model, [])).rejects.toThrow('expected at least one token id, got none');
    for (const stranger of [-1, 29, 1.5]) {
      await expect(tokenLogits(model, [1, stranger])).rejects.toThrow(
        `expected token ids from 0 to 28, got ${stranger}`,
      );
    }
    model.dispose();
  });
});
