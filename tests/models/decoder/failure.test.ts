import { describe, expect, it } from 'vitest';
import { packPairs } from '../../../src/data/pack.js';
import { placeBatch } from '../../../src/models/packed-batch.js';
import { backward, completionScores, forward } from '../../../src/models/passes.js';
import { disposeAll, memory, tensor } from '../../../src/runtime/tensor.js';
import { modelOf, randomAdapter, randomPairs, randomWeights, smallConfig } from './support.js';

describe('a pass that fails half way', () => {
  const config = smallConfig({ numLayers: 3 });
  const pairs = randomPairs(2, 41);

  it('frees what it made, forward', async () => {
    const model = modelOf(config, randomWeights(config, 42));
    const { adapter } = randomAdapter(config, 43);
    const factors = adapter.layers[1]!;
    factors['o_proj.A']!.dispose();
    factors['o_proj.A'] = tensor('float32', [3, 5], new Float32Array(15));
    const batch = placeBatch(model, packPairs(pairs));
    const before = memory();
    for (const keep of ['nothing', 'inputs', 'everything'] as const) {
      await expect(forward(model, batch, { keep, adapter })).rejects.toThrow(/layer_(forward|inference)/);
      expect(memory()).toEqual(before);
    }
    disposeAll(batch.tensors);
    adapter.dispose();
    model.dispose();
  });

  it.each(['inputs', 'everything'] as const)(
    'frees what it made and what forward kept (%s), backward',
    async (keep) => {
      const model = modelOf(config, randomWeights(config, 44));
      const { adapter } = randomAdapter(config, 45, { dropout: 0.1 });
      const batch = placeBatch(model, packPairs(pairs));
      const before = memory();
      const state = await forward(model, batch, { keep, adapter, dropoutSeed: 1 });
      const scores = await completionScores(model, batch, state.hidden);
      const dLogps = tensor('float32', scores.logps.shape, scores.logps.data());
      let seen = 0;
      const failing = backward(model, batch, state, scores, dLogps, (_, gradient) => {
        gradient.dispose();
        if (++seen === 20) throw new Error('the sink is full');
      });
      await expect(failing).rejects.toThrow('the sink is full');
      disposeAll([Object.values(scores), dLogps]);
      // The gradients of the failing layer that were not handed over are gone too.
      expect(memory()).toEqual(before);
      disposeAll(batch.tensors);
      adapter.dispose();
      model.dispose();
    },
  );
});
