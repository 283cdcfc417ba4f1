import fc from 'fast-check';
import { expect, test } from 'vitest';
import { halfToFloatTable } from '../../src/models/half.js';
import { BLOCK, quantizedBlocks, toFloat16, transposed } from '../../src/rewards/export/weight-numbers.js';

const table = halfToFloatTable();

test('every finite float16 comes back as itself', () => {
  const finite = Array.from({ length: 65_536 }, (_, bits) => bits).filter((bits) =>
    Number.isFinite(table[bits]),
  );
  const halves = toFloat16(
    Float32Array.from(finite, (bits) => table[bits] as number),
    'w',
  );
  expect([...halves]).toEqual(finite);
});

test('a number becomes the nearest float16, of two as near the even one', () => {
  const nearest = (value: number, bits: number) => {
    const error = (each: number) => Math.abs((table[each] as number) - value);
    const neighbours = [bits - 1, bits + 1].filter(
      (each) =>
        (each & 0x7fff) < 0x7c00 && each >= 0 && Math.sign(table[each] as number) === Math.sign(value),
    );
    return neighbours.every(
      (each) => error(bits) < error(each) || (error(bits) === error(each) && bits % 2 === 0),
    );
  };
  const number = fc.oneof(
    fc.float({ min: -65_519, max: 65_519, noNaN: true }),
    fc.float({ min: Math.fround(-1e-4), max: Math.fround(1e-4), noNaN: true }),
  );
  fc.assert(
    fc.property(number, (value) => {
      const [bits = 0] = toFloat16(Float32Array.of(value), 'w');
      return value === 0 || (table[bits] as number) === value || nearest(value, bits);
    }),
    { numRuns: 2000 },
  );
});

test.each([65_520, -1e6, Number.POSITIVE_INFINITY, Number.NaN])('float16 refuses %d', (value) => {
  expect(() => toFloat16(Float32Array.of(0, value), 'model.norm.weight')).toThrow(
    /model\.norm\.weight holds/,
  );
});

test('a matrix is turned, whatever its sides are', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 150 }), fc.integer({ min: 1, max: 150 }), (rows, columns) => {
      const values = Float32Array.from({ length: rows * columns }, (_, i) => i);
      const turned = transposed(values, rows, columns);
      return values.every((value, i) => turned[(i % columns) * rows + Math.floor(i / columns)] === value);
    }),
  );
});

test('of a quantized block no number is off by more than half a step', () => {
  const [rows, columns] = [3, BLOCK + 5];
  const values = Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i * 12.9) * (1 + (i % 7)));
  values.fill(0, columns, 2 * columns);
  const { codes, scales } = quantizedBlocks(values, rows, columns);
  for (const [i, value] of values.entries()) {
    const [row, column] = [Math.floor(i / columns), i % columns];
    const scale = scales[row * 2 + Math.floor(column / BLOCK)] as number;
    const code = codes[row * 2 * BLOCK + column] as number;
    expect(Math.abs((code - 128) * scale - value)).toBeLessThanOrEqual(scale / 2 + 1e-7);
  }
});
