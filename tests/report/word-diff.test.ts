import { property, string, assert as verify } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type DiffPart, diffWords } from '../../src/report/page/word-diff.js';

const marked = (parts: readonly DiffPart[]) =>
  parts.map(({ text, shared }) => (shared ? text : `[${text}]`)).join('');

describe('words that differ', () => {
  test.each([
    [
      'one two three four five',
      'one two three four five',
      'one two three four five',
      'one two three four five',
    ],
    [
      'it is cold in here today',
      'it is cold in there today',
      'it is cold in[ here] today',
      'it is cold in[ there] today',
    ],
    ['a b c', '', '[a b c]', ''],
    ['', 'a b c', '', '[a b c]'],
    ['keep it cold and dry', 'Keep it cold and dry!', '[keep] it cold and dry', '[Keep] it cold and dry[!]'],
    ['天気がいい', '天気が悪い', '天気が[い]い', '天気が[悪]い'],
  ])('%s -> %s', (before, after, markedBefore, markedAfter) => {
    const diff = diffWords(before, after);
    expect(marked(diff.before)).toBe(markedBefore);
    expect(marked(diff.after)).toBe(markedAfter);
  });

  test('single shared words between changes are marked with them, so that what is marked reads in one piece', () => {
    const diff = diffWords('start up red the blue end now here', 'start up one the two end now here');
    expect(marked(diff.before)).toBe('start up[ red the blue] end now here');
  });

  test('likeness is the share of words that both have', () => {
    expect(diffWords('a b c d', 'a b c d').likeness).toBe(1);
    expect(diffWords('a b c d', 'w x y z').likeness).toBe(0);
    expect(diffWords('', '').likeness).toBe(1);
    expect(diffWords('a b c x', 'a b c y').likeness).toBeCloseTo(0.75);
  });

  test('any two texts are put together again out of their parts, and share what is called shared', () => {
    const words = string({ unit: 'grapheme', maxLength: 40 }).map((text) => text.replaceAll('e', ' '));
    verify(
      property(words, words, (before, after) => {
        const diff = diffWords(before, after);
        const all = (parts: readonly DiffPart[]) => parts.map(({ text }) => text).join('');
        const shared = (parts: readonly DiffPart[]) =>
          all(parts.filter((part) => part.shared)).replace(/\s+/g, '');
        expect([all(diff.before), all(diff.after)]).toEqual([before, after]);
        expect(shared(diff.before)).toBe(shared(diff.after));
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  test('long texts with nothing in common are told apart at once', () => {
    const of = (letter: string) => Array.from({ length: 8000 }, (_, i) => `${letter}${i}`).join(' ');
    expect(diffWords(of('a'), of('b')).likeness).toBe(0);
  });
});
