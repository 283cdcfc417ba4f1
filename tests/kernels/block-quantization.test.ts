/** Block-wise dynamic quantization: the values of its codes, and how far a number comes back from itself. */

import { describe, expect, it } from 'vitest';
import { createRandom } from '../../src/data/random.js';
import {
  codesByBits,
  codeValues,
  dequantizeBlocks,
  QUANTIZATION_BLOCK,
  quantizeBlocks,
} from '../../src/kernels/block-quantization.js';
import { call, defineFunction } from '../../src/runtime/graph-function.js';
import { scope, tensor } from '../../src/runtime/tensor.js';

/** `x`, block by block, packed and unpacked. */
function thereAndBack(x: Float32Array, signed: boolean): { codes: Uint8Array; back: Float32Array } {
  return scope(() => {
    const [values, codes] = [codeValues(signed), codesByBits(codeValues(signed))];
    const fn = defineFunction('there_and_back', (g) => {
      const tables = { values: g.input('float32'), codes: g.input('float32') };
      const packed = quantizeBlocks(g, g.input('float32'), tables);
      return [packed.codes, dequantizeBlocks(g, packed, tables)];
    });
    const vector = (numbers: Float32Array) => tensor('float32', [numbers.length], numbers);
    const blocks = tensor('float32', [x.length / QUANTIZATION_BLOCK, QUANTIZATION_BLOCK], x);
    const [packed, back] = call(fn, [vector(values), vector(codes), blocks]);
    return { codes: packed!.data() as Uint8Array, back: back!.data() as Float32Array };
  });
}

describe('the values of the codes', () => {
  it('are 256 different ones, ascending, with 0 and 1 among them', () => {
    for (const signed of [true, false]) {
      const values = codeValues(signed);
      expect(new Set(values).size).toBe(256);
      expect([...values]).toEqual([...values].sort((a, b) => a - b));
      expect(values).toContain(0);
      expect(values.at(-1)).toBe(1);
    }
  });

  it('divide the largest decade most finely', () => {
    // 64 parts of [0.1, 1], the middles of the first and the last, on both sides; 128 of one side without a sign.
    const signed = codeValues(true);
    expect(signed[0]).toBeCloseTo(-(1 - 0.9 / 128), 6);
    expect(signed.filter((value) => value > 0.1)).toHaveLength(65);
    expect(signed.find((value) => value > 0)).toBeCloseTo(0.55e-6, 12);
    expect(codeValues(false).filter((value) => value > 0.1)).toHaveLength(129);
  });
});

describe('numbers that are packed and unpacked', () => {
  const random = createRandom(9);
  // From block to block a thousand times smaller, and inside a block over many decades.
  const numbers = Float32Array.from(
    { length: 8 * QUANTIZATION_BLOCK },
    (_, i) => random.normal() * 10 ** (-3 * Math.floor(i / QUANTIZATION_BLOCK)) * 10 ** (-4 * random.float()),
  );

  it.each([
    ['with signs', true],
    ['without', false],
  ])('%s are off by little more than half the distance of the values around them', (_name, signed) => {
    const x = signed ? numbers : numbers.map(Math.abs);
    const values = codeValues(signed);
    const { back } = thereAndBack(x, signed);
    for (let block = 0; block < x.length; block += QUANTIZATION_BLOCK) {
      const scale = Math.max(...x.subarray(block, block + QUANTIZATION_BLOCK).map(Math.abs));
      for (let i = block; i < block + QUANTIZATION_BLOCK; i++) {
        const unit = x[i]! / scale;
        const above = values.findIndex((value) => value >= unit);
        const [high, low] = [values[above]!, values[Math.max(0, above - 1)]!];
        // Without a sign nothing becomes zero; and the lookup by the first bits may add a little.
        const apart = !signed && low === 0 ? high : Math.max(high - low, unit - low, high - unit) / 2;
        expect(Math.abs(back[i]! / scale - unit)).toBeLessThanOrEqual(
          1.0001 * (apart + Math.abs(unit) / 256),
        );
      }
    }
  });

  it('are never zero where they have no sign and are none', () => {
    const x = new Float32Array(QUANTIZATION_BLOCK).fill(1e-12);
    x[0] = 1;
    x[1] = 0;
    const { back } = thereAndBack(x, false);
    expect(back[1]).toBe(0);
    expect(back[2]).toBeCloseTo(0.325e-6, 12);
  });

  it('keep a block’s largest magnitude to the bit, and zeros', () => {
    const x = new Float32Array(2 * QUANTIZATION_BLOCK);
    x[3] = 1.2345e-20;
    const { back } = thereAndBack(x, true);
    expect(back[3]).toBe(x[3]);
    expect(back.filter((value) => value !== 0)).toHaveLength(1);
  });

  it('packed again without a change are the same codes', () => {
    const once = thereAndBack(numbers.map(Math.abs), false);
    expect(thereAndBack(once.back, false).codes).toEqual(once.codes);
  });
});
