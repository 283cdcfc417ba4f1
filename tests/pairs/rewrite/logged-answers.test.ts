import { describe, expect, it } from 'vitest';
import type { SplitConversation } from '../../../src/data/conversation.js';
import { loggedAnswers } from '../../../src/pairs/rewrite/logged-answers.js';
import type { ClassifiedMessage } from '../../../src/pairs/rows.js';
import { all, conversation, watchedContext } from '../support/conversations.js';

function sentBack({ id, user }: SplitConversation, ...turns: number[]): ClassifiedMessage[] {
  return turns.map((turn) => ({
    ...{ conversation: id, user, turn, characters: 1, number: 2 },
    type: 're-attempt-with-feedback',
  }));
}

async function logged(
  talk: SplitConversation,
  turns: number[],
  {
    personas,
    ...options
  }: { personas?: Map<string, string>; persona?: boolean; followUps?: 'all' | 'first' } = {},
) {
  const context = watchedContext('user messages');
  const input = { conversations: [talk], messages: sentBack(talk, ...turns), ...(personas && { personas }) };
  const rows = await all(loggedAnswers(input, options, context));
  return { rows, counts: context.tally.counts() };
}

describe('loggedAnswers', () => {
  it('takes the answer that the log has after the feedback, under the context of the first one', async () => {
    const talk = conversation('c', [
      'u: tea?',
      'a: Boil it.',
      'u: shorter',
      'a: Boil.',
      'u: thanks',
      'a: Bye.',
    ]);
    const { rows, counts } = await logged(talk, [2], { personas: new Map([[talk.user, '- Terse']]) });
    expect(rows).toMatchObject([
      {
        id: 'c:2',
        source: 'logged',
        prompt: [{ role: 'user', content: 'tea?' }],
        original: 'Boil it.',
        followUp: 'shorter',
        rewrite: 'Boil.',
        persona: '- Terse',
        request: [],
      },
    ]);
    expect(rows[0]).not.toHaveProperty('logged');
    expect(counts).toMatchObject({ in: 1, out: 1, dropped: {} });
  });

  it('carries no persona where none is wanted', async () => {
    const talk = conversation('c', ['u: tea?', 'a: Boil it.', 'u: shorter', 'a: Boil.']);
    const personas = new Map([[talk.user, '- Terse']]);
    expect((await logged(talk, [2], { personas, persona: false })).rows[0]).not.toHaveProperty('persona');
  });

  it.each([
    ['that is not there', ['u: tea?', 'a: Boil it.', 'u: shorter'], [2], { 'no-answer-after': 1 }],
    [
      'that refuses',
      ['u: tea?', 'a: Boil it.', 'u: shorter', "a: I'm sorry, but I can't help with that."],
      [2],
      { refusal: 1 },
    ],
  ])('leaves out an answer %s', async (_what, turns, feedback, dropped) => {
    const { rows, counts } = await logged(conversation('c', turns), feedback);
    expect(rows).toEqual([]);
    expect(counts.dropped).toEqual(dropped);
  });

  it('leaves out an answer that was sent back as well, and takes the one after that', async () => {
    const talk = conversation('c', ['u: tea?', 'a: 1', 'u: shorter', 'a: 2', 'u: shorter!', 'a: 3']);
    const { rows, counts } = await logged(talk, [2, 4]);
    expect(rows.map(({ id, original, rewrite }) => [id, original, rewrite])).toEqual([['c:4', '2', '3']]);
    expect(counts.dropped).toEqual({ 'sent-back-again': 1 });
  });

  it('looks at the first follow-up of a conversation alone where that is wanted', async () => {
    const talk = conversation('c', ['u: tea?', 'a: 1', 'u: shorter', 'a: 2', 'u: thanks', 'a: 3']);
    const { rows, counts } = await logged(talk, [2, 4], { followUps: 'first' });
    expect(rows.map(({ id, original, rewrite }) => [id, original, rewrite])).toEqual([['c:2', '1', '2']]);
    expect(counts).toMatchObject({ in: 2, out: 1, dropped: { 'later-follow-up': 1 } });
  });
});
