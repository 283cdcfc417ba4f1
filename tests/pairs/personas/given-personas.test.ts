import { expect, it } from 'vitest';
import { givenPersonas } from '../../../src/pairs/personas/given-personas.js';
import { classifiedAs, said } from '../support/classified-conversations.js';
import { all, watchedContext } from '../support/conversations.js';

it('gives each user the persona that is known, and drops users without one', async () => {
  const conversations = [
    said('c1', ['tea?', 'shorter'], { user: 'ada' }),
    said('c2', ['soup?'], { user: 'bo' }),
  ];
  const context = watchedContext('users');
  const classified = conversations.flatMap((each) => classifiedAs(each));
  const rows = await all(givenPersonas(conversations, classified, new Map([['ada', '- Terse\n']]), context));
  expect(rows).toEqual([
    {
      ...{ user: 'ada', persona: '- Terse', conversations: ['c1'], messagesShown: 0, messagesLeftOut: 2 },
      ...{ model: 'given', request: [], reply: '' },
    },
  ]);
  expect(context.tally.counts()).toMatchObject({ in: 2, out: 1, dropped: { 'no-persona-given': 1 } });
});
