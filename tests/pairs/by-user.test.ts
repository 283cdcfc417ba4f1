import { describe, expect, it } from 'vitest';
import { DataError } from '../../src/errors.js';
import { byUser, inTime } from '../../src/pairs/by-user.js';
import { classifiedAs, said } from './support/classified-conversations.js';
import { all } from './support/conversations.js';

const a1 = said('a1', ['one', 'two']);
const a2 = said('a2', ['three']);
const b1 = said('b1', ['four', 'five', 'six'], { user: 'bo' });
const messages = [a1, a2, b1].flatMap((each) => classifiedAs(each));

describe('byUser', () => {
  it('gives each user all conversations with their messages', async () => {
    const histories = await all(byUser([a1, a2, b1], messages));
    expect(
      histories.map(({ user, conversations }) => [
        user,
        conversations.map((each) => [each.conversation.id, each.messages.map(({ turn }) => turn)]),
      ]),
    ).toEqual([
      [
        'ada',
        [
          ['a1', [0, 2]],
          ['a2', [0]],
        ],
      ],
      ['bo', [['b1', [0, 2, 4]]]],
    ]);
  });

  it('of nothing is nothing', async () => expect(await all(byUser([], []))).toEqual([]));

  it('tells conversations of the same id apart', async () => {
    const histories = await all(byUser([a1, a1], [...classifiedAs(a1), ...classifiedAs(a1)]));
    expect(histories[0]?.conversations.map((each) => each.messages.length)).toEqual([2, 2]);
  });

  it('takes conversations in which the user says nothing', async () => {
    const silent = said('s', []);
    const histories = await all(byUser([silent, a1], classifiedAs(a1)));
    expect(histories[0]?.conversations.map((each) => each.messages.length)).toEqual([0, 2]);
  });

  it.each([
    ['a user who comes back', [a1, b1, a2], [a1, b1, a2], /a2 of user ada comes after those of another user/],
    ['a missing message', [a1, a2], [a2], /a1 of user ada has 2 user messages, but its classification has 0/],
    ['no classification', [a1], [], /followed by no further row/],
    ['messages of another conversation', [a1], [a1, b1], /b1:0 is classified, but its conversation/],
    ['messages in another order', [a1, a2], [a2, a1], /followed by a row of conversation a2/],
    ['a conversation that has grown', [said('a2', ['three', 'more'])], [a2], /has 2 user messages.*has 1/],
    ['messages of another user', [a1], [{ ...a1, user: 'eve' }], /of other turns/],
  ])('refuses %s', async (_, conversations, classified, message) => {
    const rows = byUser(
      conversations,
      classified.flatMap((each) => classifiedAs(each)),
    );
    await expect(all(rows)).rejects.toThrow(message);
    const again = byUser(
      conversations,
      classified.flatMap((each) => classifiedAs(each)),
    );
    await expect(all(again)).rejects.toBeInstanceOf(DataError);
  });
});

describe('inTime', () => {
  const of = (id: string, time?: string) => ({
    conversation: said(id, ['x'], time === undefined ? {} : { time }),
    messages: [],
  });
  const ids = (conversations: ReturnType<typeof of>[]) =>
    inTime(conversations).map((each) => each.conversation.id);

  it('puts the oldest first', () => {
    expect(ids([of('b', '2023-05-02T00:00:00Z'), of('a', '2023-05-01T23:59:59Z')])).toEqual(['a', 'b']);
  });

  it('leaves the order alone where a time is missing, or they are the same', () => {
    expect(ids([of('b', '2023-05-02T00:00:00Z'), of('a'), of('c', '2022-01-01T00:00:00Z')])).toEqual([
      'b',
      'a',
      'c',
    ]);
    expect(ids([of('b', '2023-05-02T00:00:00Z'), of('a', '2023-05-02T00:00:00Z')])).toEqual(['b', 'a']);
  });
});
