import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readPersona } from '../../../src/pairs/personas/persona-points.js';

const read = (text: string, finishReason: 'stop' | 'length' = 'stop') => readPersona({ text, finishReason });
const points = (text: string) => read(text).answer?.split('\n');

describe('points are found', () => {
  it.each([
    ['- Wants short answers\n- No lists', ['- Wants short answers', '- No lists']],
    ['1. Short\n2) Plain\n(3) Kind', ['- Short', '- Plain', '- Kind']],
    ['* **Tone**: casual\n• `code` first', ['- Tone: casual', '- code first']],
    ['Here are five points:\n\n- Short\n\nI hope this helps!', ['- Short']],
    ['### Preferences\n- Short\n---\n- Plain', ['- Short', '- Plain']],
    ['Wants short answers.\nDislikes lists.', ['- Wants short answers.', '- Dislikes lists.']],
    ['Based on the messages, this is what I see:\nShort answers', ['- Short answers']],
    ['<think>- not this</think>- Short', ['- Short']],
    ['- Short\n- short.\n- SHORT', ['- Short']],
    [
      '- "Short"\n- Uses _emphasis_ and snake_case_names',
      ['- Short', '- Uses emphasis and snake_case_names'],
    ],
    ['- Form:\n  - tables\n  - bullets\n- Short', ['- Form: tables; bullets', '- Short']],
    ['- Wants answers\n  that are short\n- Plain', ['- Wants answers that are short', '- Plain']],
    ['1. a1\n2. a2\n3. a3\n4. a4\n5. a5\n6. a6', ['- a1', '- a2', '- a3', '- a4', '- a5']],
    ['  - Short\r\n  - Plain\r\n', ['- Short', '- Plain']],
    ["- Dislikes 'I cannot help with that'", ["- Dislikes 'I cannot help with that'"]],
    ['- None\n- Short', ['- Short']],
    ['- -\n- **\n- Short', ['- Short']],
  ])('%j', (text, expected) => expect(points(text)).toEqual(expected));

  it('of a reply that was cut, all but the last', () => {
    expect(read('- Short\n- Likes tab', 'length').answer).toBe('- Short');
    expect(read('- Likes answers that', 'length').answer).toBe('- Likes answers that');
  });

  it('and shortened to whole sentences, else words', () => {
    const [sentences] = points(`- ${'Wants it short. '.repeat(50)}`) ?? [];
    expect(sentences?.length).toBeLessThanOrEqual(402);
    expect(sentences).toMatch(/^- Wants it short\. .*short\.$/);
    expect(points(`- ${'word '.repeat(200)}`)?.[0]).toMatch(/word word\.\.\.$/);
  });

  it('from any reply as at most five lines that read themselves again', () => {
    const piece = fc.constantFrom(
      '- ',
      '1. ',
      '\n',
      '  ',
      '**',
      'a',
      'short',
      ':',
      '"',
      'Sure',
      '```',
      '<think>',
      '#',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const { answer } = read(pieces.join(''));
        if (answer === undefined) return;
        const lines = answer.split('\n');
        expect(lines.length).toBeLessThanOrEqual(5);
        for (const line of lines) expect(line).toMatch(/^- \S/);
      }),
    );
  });
});

describe('there is no persona in', () => {
  it.each([
    ['', 'the reply is empty'],
    ['- \n-', 'the reply is empty'],
    ['<think>hm', 'the reply is empty'],
    ["I'm sorry, but I can't assist with that.", 'the model refused: "I can\'t assist"'],
    ['I cannot determine the preferences of this user.', 'the model refused: "I cannot determine"'],
    [
      'As an AI language model, I do not have access to users.',
      'the model refused: "As an AI language model, I do not"',
    ],
    ['None', 'the reply names no preference'],
    ['- No clear preference can be seen.', 'the reply names no preference'],
    ['Sure! Here are the points:', 'there is no point in the reply'],
  ])('%j: %s', (text, problem) => expect(read(text)).toEqual({ problem }));
});
