import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HistoryConversation } from '../../../src/pairs/personas/history.js';
import { selectMessages } from '../../../src/pairs/personas/select-messages.js';
import type { UserMessageType } from '../../../src/pairs/rows.js';

const countTokens = (text: string) => text.split(/\s+/).filter((word) => word !== '').length;

/** `!` at the end of a text marks feedback. */
function history(...conversations: string[][]): HistoryConversation[] {
  return conversations.map((texts, index) => ({
    id: `c${index}`,
    messages: texts.map((text) => {
      const type: UserMessageType = text.endsWith('!') ? 're-attempt-with-feedback' : 'new-request';
      return { conversation: `c${index}`, text, type };
    }),
  }));
}

function select(from: HistoryConversation[], budgetTokens: number, maxMessageTokens = 100) {
  const { conversations, ...counts } = selectMessages(from, { budgetTokens, maxMessageTokens, countTokens });
  return { texts: conversations.map(({ messages }) => messages.map(({ text }) => text)), ...counts };
}

describe('selectMessages', () => {
  it('shows all in their order where there is room', () => {
    const all = [['one', 'two!'], ['three'], ['four!', 'five']];
    expect(select(history(...all), 1000)).toEqual({ texts: all, shown: 5, leftOut: 0 });
  });

  // Each message takes its words and 12 tokens more.
  it('takes feedback first, then the newest, and shows what it takes in time', () => {
    const all = history(['old', 'old feedback!'], ['middle'], ['new', 'new feedback!']);
    expect(select(all, 12)).toEqual({ texts: [], shown: 0, leftOut: 5 });
    expect(select(all, 14)).toEqual({ texts: [['new feedback!']], shown: 1, leftOut: 4 });
    expect(select(all, 28)).toEqual({ texts: [['old feedback!'], ['new feedback!']], shown: 2, leftOut: 3 });
    expect(select(all, 41).texts).toEqual([['old feedback!'], ['new', 'new feedback!']]);
    expect(select(all, 54).texts).toEqual([['old feedback!'], ['middle'], ['new', 'new feedback!']]);
    expect(select(all, 67).leftOut).toBe(0);
  });

  it('takes a short message where a long one has no room any more', () => {
    const long = 'word '.repeat(30);
    expect(select(history(['short'], [long], ['new!']), 40).texts).toEqual([['short'], ['new!']]);
  });

  it('shortens a long message rather than leaving out ten', () => {
    const long = Array.from({ length: 1000 }, (_, index) => `w${index}`).join(' ');
    const short = Array.from({ length: 10 }, (_, index) => `message ${index}`);
    const { texts, leftOut } = select(history([...short, `${long}!`]), 202, 50);
    expect(leftOut).toBe(0);
    expect(countTokens(texts[0]?.[10] ?? '')).toBeLessThanOrEqual(50);
    expect(texts[0]?.[10]).toMatch(/^w0 .*left out.* w999!$/);
  });

  it('shows a message that is repeated once, the newest time', () => {
    expect(select(history(['same', 'other'], ['Same.']), 1000)).toEqual({
      texts: [['other'], ['Same.']],
      shown: 2,
      leftOut: 1,
    });
  });

  it('keeps to its budget and adds up, whatever the messages', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 60 });
    const texts = fc.array(
      fc.array(
        text.map((words) => words.join(' ')),
        { minLength: 1, maxLength: 5 },
      ),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(texts, fc.integer({ min: -50, max: 400 }), (conversations, budget) => {
        const selected = select(history(...conversations), budget, 40);
        expect(selected.shown + selected.leftOut).toBe(conversations.flat().length);
        const taken = selected.texts.flat().reduce((sum, each) => sum + countTokens(each) + 12, 0);
        expect(taken).toBeLessThanOrEqual(Math.max(0, budget));
      }),
    );
  });
});
