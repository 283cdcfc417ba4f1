import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { refusalIn } from '../../src/pairs/refusals.js';
import { isEmptyReply, replyText } from '../../src/pairs/reply-text.js';

describe('refusals', () => {
  it.each([
    ["I'm sorry, but I can't assist with that.", "I can't assist"],
    ['I’m sorry, but I can’t help with that request.', "I can't help"],
    ['I cannot provide instructions for that.', 'I cannot provide'],
    ["I can't create explicit content. Is there anything else I can help you with?", "I can't create"],
    ['Sorry, I am not able to continue this conversation.', 'I am not able to continue'],
    ["I'm unable to fulfil this request.", "I'm unable to fulfil"],
    ['I must respectfully decline.', 'I must respectfully decline'],
    ["I'm sorry, I can't do that.", "I can't do that"],
    ["I'm sorry, but I cannot", "I'm sorry, but I cannot"],
    ['Unfortunately, I cannot generate a rewrite of this.', 'I cannot generate'],
    ['I apologize, but I do not feel comfortable writing this.', 'I do not feel comfortable'],
    ["I apologize, but I don't feel comfortable continuing this story.", "I don't feel comfortable"],
    ['As an AI language model, I do not have personal opinions.', 'As an AI language model, I do not'],
    ["As a helpful assistant I can't comment on this.", "As a helpful assistant I can't"],
    ['I understand that this matters to you, but I cannot share that.', 'I cannot share'],
    ['Thank you for your message. I am unable to access external links.', 'I am unable to access'],
    ["I don't have enough information to tell what the user prefers.", "I don't have enough information"],
    ['There is not enough information to infer preferences.', 'There is not enough information'],
    ['This request goes against the content policy.', 'This request goes against'],
    ['For safety reasons, I cannot give you that.', 'I cannot give you'],
    ['**I cannot help with this.**', 'I cannot help'],
    ['"I cannot help with this."', 'I cannot help'],
    ['<think>They want a bomb.</think>\n\nI cannot help with this.', 'I cannot help'],
    ['Lo siento, pero no puedo ayudarte con eso.', 'Lo siento, pero no puedo'],
    ['抱歉，我无法提供这些信息。', '抱歉,我无法'],
  ])('%s', (text, phrase) => {
    expect(refusalIn(text)).toBe(phrase);
  });

  it('with an offer after it, and hard line breaks', () => {
    const text =
      "I'm sorry,\nbut I can't\nassist with that.\n\nHowever, I would gladly write about something else: ask away!";
    expect(refusalIn(text)).toBe("I can't assist");
  });
});

describe('no refusals', () => {
  it.each([
    "I'm sorry for the confusion. Here is the corrected table:",
    'I apologize for the mistake. The answer is 42.',
    "I can't help but notice that the sea is calm tonight.",
    "I can't recommend this book enough!",
    "I can't wait to tell you about Lisbon.",
    'Dear Ms Ito, unfortunately I am unable to attend the meeting on Friday.',
    'I am unable to attend the meeting on Friday. Could we move it to Monday?',
    '"I can\'t help you," said the smith, and turned away.',
    'The smith turned away. "I can\'t help you," he said.',
    '- Wants the assistant to say so when it cannot help\n- Does not want apologies',
    "- Dislikes replies such as 'I cannot assist with that'",
    'You cannot provide an argument of that type: the function expects a number.',
    'The server cannot create the file because the folder is missing.',
    'Sorry, that was wrong. It should be 17.',
    'I have to say, the second version reads better.',
    'Unfortunately, the museum is closed on Mondays.',
    'It is impossible to divide by zero.',
    'Sure! Here is your poem.',
    '',
  ])('%s', (text) => expect(refusalIn(text)).toBeUndefined());

  it('a caveat before a long answer', () => {
    const answer =
      'Drink enough, sleep, and see a doctor when the fever lasts longer than three days. '.repeat(10);
    expect(
      refusalIn(`I can't give you medical advice, but this helps most people. ${answer}`),
    ).toBeUndefined();
  });

  it('a refusal that is only told of later on', () => {
    expect(
      refusalIn('The call ended. It was late. Nobody spoke. I cannot help you, the note said.'),
    ).toBeUndefined();
  });
});

describe('any text', () => {
  it('is looked at quickly, and a phrase that is found stands in it', () => {
    const words = fc.constantFrom(
      "I'm sorry",
      'sorry',
      ',',
      ' ',
      'but',
      'I understand',
      "I can't",
      'help',
      '.',
      '“',
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 400 }), (parts) => {
        const text = parts.join(' ');
        const phrase = refusalIn(text);
        if (phrase !== undefined) expect(text.replace(/\s+/g, ' ')).toContain(phrase);
      }),
    );
  });
});

describe('what of a reply is the reply', () => {
  it.each([
    ['  [[New]]\n', '[[New]]'],
    ['<think>new? no.</think>[[New]]', '[[New]]'],
    ['<THINKING>a</THINKING> b <think>c</think> d', 'b  d'],
    ['that was long</think>\nyes', 'yes'],
    ['<think>cut off in the mid', ''],
    ['use <b>bold</b>', 'use <b>bold</b>'],
  ])('%j', (text, left) => expect(replyText(text)).toBe(left));

  it('is empty without letters and digits', () => {
    expect(['', ' \n', '...', '—', '- \n- ', '👍'].map(isEmptyReply)).toEqual(Array(6).fill(true));
    expect(['x', '7', 'да', '是'].map(isEmptyReply)).toEqual(Array(4).fill(false));
  });
});
