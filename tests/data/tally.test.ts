import { describe, expect, it } from 'vitest';
import { type Dropped, Tally } from '../../src/data/tally.js';
import { PersonaDpoError } from '../../src/errors.js';

describe('Tally', () => {
  it('counts what came in, went out and was dropped, and hands on each thing that was', () => {
    const dropped: Dropped[] = [];
    const tally = new Tally('pairs', (each) => dropped.push(each));
    tally.enter(5);
    tally.leave(2);
    tally.drop({ id: 'a', reason: 'too-long', detail: '9' });
    tally.addDropped('too-short', 2);
    expect(tally.counts()).toEqual({
      unit: 'pairs',
      in: 5,
      out: 2,
      dropped: { 'too-long': 1, 'too-short': 2 },
    });
    expect(dropped).toEqual([{ id: 'a', reason: 'too-long', detail: '9' }]);
  });

  it('notes what is not part of the sum', () => {
    const tally = new Tally('pairs');
    tally.enter();
    tally.leave();
    tally.note('cut');
    tally.note('cut', 2);
    expect(tally.counts()).toEqual({ unit: 'pairs', in: 1, out: 1, dropped: {}, noted: { cut: 3 } });
  });

  it('does not let anything disappear', () => {
    const tally = new Tally('pairs');
    tally.enter(3);
    tally.leave();
    const failure = (() => {
      try {
        return tally.counts();
      } catch (error) {
        return error;
      }
    })();
    expect(failure).toBeInstanceOf(PersonaDpoError);
    expect(failure).toMatchObject({ code: 'COUNTS', message: expect.stringMatching(/^3 pairs .* 1 .* 0 /) });
  });
});
