import { afterAll, describe, expect, it } from 'vitest';
import { DataError } from '../../../src/errors.js';
import { scoreLabels } from '../../../src/models/generation/score-labels.js';
import { memory } from '../../../src/runtime/tensor.js';
import { worstError } from '../../support/worst-error.js';
import { modelOf, randomAdapter, randomWeights, smallConfig } from '../decoder/support.js';
import { fullPassLogps } from './support.js';

const config = smallConfig();
const model = modelOf(config, randomWeights(config, 31, 0.4));
afterAll(() => model.dispose());
const PROMPT = [4, 9, 1, 22];
const LABELS = [[3], [7, 8, 9, 3], [7, 8], [3], [1, 28, 5, 5, 5, 5, 6]];

describe('scores of labels', () => {
  it('are those of a full forward pass, adapter on and off', async () => {
    const { adapter } = randomAdapter(config, 32);
    model.attach(adapter);
    const before = memory();
    for (const on of [true, false]) {
      const scores = await scoreLabels(model, PROMPT, LABELS, { adapter: on });
      expect(memory()).toEqual(before);
      for (const [i, label] of LABELS.entries()) {
        const full = await fullPassLogps(model, PROMPT, label, on ? adapter : null);
        expect(worstError(scores[i]!.logprobs, full)).toBeLessThan(2e-5);
        expect(scores[i]!.logprob).toBeCloseTo(
          full.reduce((a, b) => a + b, 0),
          3,
        );
      }
    }
    model.detach()?.dispose();
  });

  it('of no labels are none', async () => {
    expect(await scoreLabels(model, PROMPT, [])).toEqual([]);
  });

  it.each([
    ['an empty label', PROMPT, [[1], []]],
    ['an empty prompt', [], [[1]]],
    ['a label outside the vocabulary', PROMPT, [[29]]],
    ['a label too long', PROMPT, [Array(63).fill(1) as number[]]],
  ])('refuse %s', async (_name, prompt, labels) => {
    await expect(scoreLabels(model, prompt, labels)).rejects.toThrow(DataError);
  });
});
