/** The memory of a batch: a prompt's cache once for all its sequences, own tokens written where they belong. */

import { afterAll, describe, expect, it } from 'vitest';
import { DecodeBatch } from '../../../src/models/generation/decode-batch.js';
import { disposeGeneration, loadForGeneration } from '../../../src/models/generation/generate.js';
import { promptCache } from '../../../src/models/generation/prompt-cache.js';
import { memory } from '../../../src/runtime/tensor.js';
import { modelOf, randomWeights, smallConfig } from '../decoder/support.js';

const config = smallConfig({ maxPositionEmbeddings: 300 });
const model = modelOf(config, randomWeights(config, 61, 0.4));
const loaded = loadForGeneration(model, true);
afterAll(() => {
  disposeGeneration(loaded);
  model.dispose();
});

/** Keys and values of one token in all layers. */
const tokenBytes = 2 * config.numLayers * config.numKeyValueHeads * config.headDim * 4;
const prompt = Array.from({ length: 100 }, (_, i) => i % 29);

async function batchOf(sequences: number): Promise<DecodeBatch> {
  const batch = new DecodeBatch(loaded);
  const cache = await promptCache(loaded, [prompt], undefined);
  (
    await batch.add(
      cache,
      Array.from({ length: sequences }, () => 0),
    )
  ).dispose();
  return batch;
}

describe('a batch', () => {
  it('holds the prompt once, and room for own tokens that grows', async () => {
    const before = memory();
    const batch = await batchOf(8);
    expect(batch.memory).toEqual({ room: 0, bytes: 100 * tokenBytes });
    const rooms = new Set<number>();
    for (let step = 0; step < 70; step++) {
      (await batch.step(new Int32Array(8).fill(step % 29))).dispose();
      const { room, bytes } = batch.memory;
      expect(room).toBeGreaterThan(step);
      expect(bytes).toBe((100 + 8 * room) * tokenBytes);
      rooms.add(room);
    }
    expect([...rooms]).toEqual([32, 64, 96]);
    batch.keepSequences([1, 5]);
    expect(batch.memory.bytes).toBe((100 + 2 * 96) * tokenBytes);
    batch.keepSequences([]);
    expect(memory()).toEqual(before);
  });

  it('takes no more memory from one step to the next', async () => {
    const batch = await batchOf(3);
    (await batch.step(Int32Array.of(1, 2, 3))).dispose();
    const before = memory();
    (await batch.step(Int32Array.of(4, 5, 6))).dispose();
    expect(memory()).toEqual(before);
    batch.dispose();
  });

  it('lets a sequence in without a change to the others', async () => {
    const alone = await batchOf(2);
    const joined = await batchOf(2);
    for (const ids of [
      [4, 5],
      [6, 7],
    ]) {
      (await alone.step(Int32Array.from(ids))).dispose();
      (await joined.step(Int32Array.from(ids))).dispose();
    }
    const longer = await promptCache(loaded, [[...prompt, ...prompt]], undefined);
    (await joined.add(longer, [0])).dispose();
    const [expected, actual] = [
      await alone.step(Int32Array.of(8, 9)),
      await joined.step(Int32Array.of(8, 9, 1)),
    ];
    expect(actual.best.subarray(0, 2)).toEqual(expected.best);
    actual.max.subarray(0, 2).forEach((value, i) => {
      expect(value).toBeCloseTo(expected.max[i]!, 4);
    });
    expected.dispose();
    actual.dispose();
    alone.dispose();
    joined.dispose();
  });
});
