import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shortenMiddle } from '../../src/pairs/shorten.js';
import { windows } from '../../src/pairs/windows.js';
import { all } from './support/conversations.js';

const words = (text: string) => text.split(/\s+/).filter((word) => word !== '').length;

describe('shortenMiddle', () => {
  it('leaves alone what fits', () => {
    expect(shortenMiddle('a b c', 3, words)).toBe('a b c');
  });

  it('keeps the beginning and the end, and says how much is gone', () => {
    const text = Array.from({ length: 100 }, (_, index) => `w${index}`).join(' ');
    const short = shortenMiddle(text, 20, words);
    expect(short).toMatch(/^w0 w1 .* \[\.\.\. \d+ characters left out \.\.\.\] .* w98 w99$/);
    expect(words(short)).toBeLessThanOrEqual(20);
    expect(words(short)).toBeGreaterThan(15);
    const [, count] = /\[\.\.\. (\d+) /.exec(short) ?? [];
    const kept = short.replace(/ \[.*\] /, '').length;
    expect(Number(count)).toBe(text.length - kept);
  });

  it('never has too many tokens, and never half a character', () => {
    const letter = fc.constantFrom('a', ' ', '😀', 'é', '\n');
    fc.assert(
      fc.property(fc.array(letter, { maxLength: 300 }), fc.integer({ min: 12, max: 40 }), (letters, most) => {
        const count = (text: string) => Math.ceil([...text].length / 3);
        const text = letters.join('');
        const short = shortenMiddle(text, most, count);
        if (count(text) <= most) expect(short).toBe(text);
        else
          expect(count(short)).toBeLessThanOrEqual(
            Math.max(most, count('[... 1000 characters left out ...]')),
          );
        expect(short).not.toMatch(/\p{Surrogate}/u);
      }),
    );
  });

  it('does not count the tokens of what is far too long', () => {
    const lengths: number[] = [];
    const count = (text: string) => {
      lengths.push(text.length);
      return words(text);
    };
    const short = shortenMiddle('word '.repeat(1_000_000), 50, count);
    expect(words(short)).toBeLessThanOrEqual(50);
    expect(Math.max(...lengths)).toBeLessThan(2000);
  });
});

describe('windows', () => {
  it.each([
    [[], 2, []],
    [[1, 2, 3], 2, [[1, 2], [3]]],
    [
      [1, 2, 3, 4],
      2,
      [
        [1, 2],
        [3, 4],
      ],
    ],
  ])('of %j by %d', async (items, size, expected) => {
    expect(await all(windows(items, size))).toEqual(expected);
  });
});
