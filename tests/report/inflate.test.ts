import { gzipSync } from 'node:zlib';
import { property, uint8Array, assert as verify } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { gunzip } from '../../src/report/page/inflate.js';

describe('unpacking without DecompressionStream', () => {
  const text = JSON.stringify(
    Array.from({ length: 3000 }, (_, i) => ({ i, words: `word ${i % 17} – ünïcödé` })),
  );

  test.each([0, 1, 6, 9])('what zlib packs at level %i comes out as it was', (level) => {
    const packed = gzipSync(text, { level });
    expect(new TextDecoder().decode(gunzip(packed))).toBe(text);
  });

  test('any bytes come out as they were', () => {
    verify(
      property(uint8Array({ maxLength: 2000 }), (bytes) => {
        expect(Buffer.from(gunzip(gzipSync(bytes)))).toEqual(Buffer.from(bytes));
      }),
      { seed: 7, numRuns: 200 },
    );
  });

  test('what is no gzip, or not whole, is refused', () => {
    expect(() => gunzip(Buffer.from('no such thing as this'))).toThrow('not packed by gzip');
    const packed = gzipSync(text);
    expect(() => gunzip(packed.subarray(0, packed.length / 2))).toThrow();
  });
});
