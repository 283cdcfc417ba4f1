import { describe, expect, it } from 'vitest';
import { stepFlops, totalFlops } from '../../bench/support/flops.js';
import { SMOLLM2_135M } from '../../bench/support/random-model.js';
import { median, rounded } from '../../bench/support/statistics.js';

describe('stepFlops', () => {
  it('is six operations a weight and token, beside attention and the head', () => {
    const { layersForward, layersBackward } = stepFlops(SMOLLM2_135M, [[10, 3, 2]], 0);
    // 106,168,320 weights in linear layers; 15 tokens that see 55 + 6 + 3 keys of their own piece and 50 of the prompt.
    const attention = 30 * 4 * (55 + 6 + 3 + 50) * 576;
    expect(layersForward).toBe(2 * 106_168_320 * 15 + attention);
    expect(layersBackward).toBe(4 * 106_168_320 * 15 + 2 * attention);
  });

  it('counts the head at completion tokens only, and adds up over pairs', () => {
    const one = stepFlops(SMOLLM2_135M, [[10, 3, 2]], 0);
    expect(one.headForward).toBe(2 * 5 * 576 * 49_152);
    expect(one.headBackward).toBe(2 * one.headForward);
    const both = stepFlops(
      SMOLLM2_135M,
      [
        [10, 3, 2],
        [10, 3, 2],
      ],
      0,
    );
    expect(totalFlops(both)).toBe(2 * totalFlops(one));
  });

  it('leaves the gradients of frozen weights out, and counts the factors of an adapter', () => {
    const lora = stepFlops(SMOLLM2_135M, [[10, 3, 2]], 16);
    const full = stepFlops(SMOLLM2_135M, [[10, 3, 2]], 0);
    // A and B of rank 16 on seven layers: 4,884,480 weights.
    const factors = 2 * 4_884_480 * 15;
    expect(lora.layersForward - full.layersForward).toBe(factors);
    expect(full.layersBackward - lora.layersBackward).toBe(2 * 106_168_320 * 15 - 2 * factors);
    expect(lora.headBackward).toBe(full.headForward);
  });
});

describe('statistics', () => {
  it('takes the middle, or the mean of the two in the middle', () => {
    expect(median([3, 1, 10])).toBe(3);
    expect(median([4, 1, 10, 2])).toBe(3);
    expect(rounded(1234.567)).toBe(1235);
    expect(rounded(0.00123456, 3)).toBe(0.00123);
  });
});
