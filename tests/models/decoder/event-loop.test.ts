import { describe, expect, it } from 'vitest';
import { modelOf, randomPairs, randomWeights, rowGradients, smallConfig, unevenSlopes } from './support.js';

describe('a forward and backward pass of a mid-size model', () => {
  it('leaves timers firing', async () => {
    const config = smallConfig({
      vocabSize: 2000,
      hiddenSize: 256,
      intermediateSize: 768,
      numLayers: 6,
      numHeads: 4,
      headDim: 64,
    });
    const model = modelOf(config, randomWeights(config, 31, 0.05));
    const pairs = randomPairs(3, 32, { vocabSize: 2000, longest: 200 });
    // Functions are built when first needed, on the main thread.
    await rowGradients(model, pairs, unevenSlopes);

    let firedForward = 0;
    let fired = 0;
    const timer = setInterval(() => fired++, 1);
    const start = performance.now();
    await rowGradients(model, pairs, (logps, row) => {
      firedForward = fired;
      return unevenSlopes(logps, row);
    });
    const elapsed = performance.now() - start;
    clearInterval(timer);
    model.dispose();
    // A blocked loop lets none through: promises that are settled already are no rest. A free one, one a millisecond.
    expect(firedForward).toBeGreaterThan(config.numLayers);
    expect(fired).toBeGreaterThan(elapsed / 10);
  });
});
