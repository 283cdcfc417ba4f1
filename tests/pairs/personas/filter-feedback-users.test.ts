import { describe, expect, it } from 'vitest';
import type { SplitConversation } from '../../../src/data/conversation.js';
import { ConfigError } from '../../../src/errors.js';
import {
  type FeedbackUserSettings,
  filterFeedbackUsers,
} from '../../../src/pairs/personas/filter-feedback-users.js';
import { createFeedbackUserTemplate } from '../../../src/pairs/prompts/feedback-user.js';
import type { UserMessageType } from '../../../src/pairs/rows.js';
import { classifiedAs, said } from '../support/classified-conversations.js';
import { all, watchedContext } from '../support/conversations.js';
import { scriptedModel, textOf } from '../support/scripted-model.js';

const PLAIN = createFeedbackUserTemplate("{{ follow_ups | join(' / ') }}");
const F: UserMessageType = 're-attempt-with-feedback';
const N: UserMessageType = 'new-request';

/** What each conversation's follow-ups are. */
type Classified = [SplitConversation, UserMessageType[]];

async function filter(of: readonly Classified[], settings: FeedbackUserSettings) {
  const context = watchedContext('users');
  const rows = await all(
    filterFeedbackUsers(
      of.map(([each]) => each),
      of.flatMap(([each, types]) => classifiedAs(each, types)),
      { template: PLAIN, ...settings },
      context,
    ),
  );
  const reasons = Object.fromEntries(context.dropped.map(({ id, reason }) => [id, reason]));
  return { rows, reasons, counts: context.tally.counts(), context };
}

const USERS: Classified[] = [
  [said('a1', ['a poem', 'longer', 'a joke'], { user: 'ada' }), [F, N]],
  [said('a2', ['a riddle', 'harder'], { user: 'ada' }), [F]],
  [said('b1', ['a poem', 'a joke'], { user: 'bo' }), [N]],
  [said('c1', ['a poem'], { user: 'cy' }), []],
  [said('d1', ['a poem', 'blue blue'], { user: 'di' }), [F]],
];

describe('filterFeedbackUsers', () => {
  it('by the rule keeps users with the minimum, and asks nobody', async () => {
    const { rows, reasons, counts } = await filter(USERS, { method: 'rule' });
    expect(rows).toEqual([
      { user: 'ada', followUps: 3, reAttemptsWithFeedback: 2 },
      { user: 'di', followUps: 1, reAttemptsWithFeedback: 1 },
    ]);
    expect(reasons).toEqual({ bo: 'too-little-feedback', cy: 'no-follow-ups' });
    expect(counts).toEqual({
      ...{ unit: 'users', in: 4, out: 2 },
      dropped: { 'too-little-feedback': 1, 'no-follow-ups': 1 },
    });
    const stricter = await filter(USERS, { method: 'rule', minimum: 2 });
    expect(stricter.rows.map(({ user }) => user)).toEqual(['ada']);
  });

  it('asks the model about those, from their follow-ups alone', async () => {
    const model = scriptedModel({
      reply: (request) => (textOf(request).includes('blue') ? 'No' : '[[yes]]'),
    });
    const { rows, reasons, context } = await filter(USERS, { model });
    expect(rows).toEqual([
      { user: 'ada', followUps: 3, reAttemptsWithFeedback: 2, model: 'scripted', reply: '[[yes]]' },
    ]);
    expect(reasons).toEqual({
      bo: 'too-little-feedback',
      cy: 'no-follow-ups',
      di: 'no-meaningful-feedback',
    });
    expect(model.asked.map((request) => [request.owner, textOf(request)])).toEqual([
      ['ada', 'longer / a joke / harder'],
      ['di', 'blue blue'],
    ]);
    expect(context.dropped.every(({ id, user }) => id === user)).toBe(true);
  });

  it('asks about everybody with follow-ups where the minimum is 0', async () => {
    const model = scriptedModel({ reply: () => 'Yes' });
    const { rows } = await filter(USERS, { model, minimum: 0 });
    expect(rows.map(({ user }) => user)).toEqual(['ada', 'bo', 'di']);
  });

  it('drops users without a verdict after two replies', async () => {
    const model = scriptedModel({ reply: ({ id }) => (id === 'di' ? 'Partly.' : 'Yes') });
    const { rows, reasons, context } = await filter(USERS, { model });
    expect(rows.map(({ user }) => user)).toEqual(['ada']);
    expect(reasons.di).toBe('no-verdict');
    expect(context.dropped.find(({ id }) => id === 'di')?.detail).toBe('no verdict in "Partly."');
    expect(model.asked.filter(({ id }) => id === 'di')).toHaveLength(2);
  });

  it('by likelihood takes the label that gains over empty follow-ups', async () => {
    const model = scriptedModel({ score: (request) => (/blue/.test(textOf(request)) ? [-1, -2] : [-1, -4]) });
    const { rows, reasons, context } = await filter(USERS, { model, method: 'likelihood' });
    expect(rows).toEqual([
      {
        ...{ user: 'ada', followUps: 3, reAttemptsWithFeedback: 2, model: 'scripted' },
        ...{ logprobs: { yes: -1, no: -4 }, prior: { yes: -1, no: -4 } },
      },
    ]);
    expect(reasons.di).toBe('no-meaningful-feedback');
    expect(context.dropped.find(({ id }) => id === 'di')?.detail).toBe(
      'log p over that without content: yes 0.00, no 2.00',
    );
  });

  it('neither counts nor shows what is held out', async () => {
    const model = scriptedModel({ reply: () => 'Yes' });
    const of: Classified[] = [
      [said('a1', ['a poem', 'SECRET'], { heldOut: true }), [F]],
      [said('a2', ['a poem', 'longer'], {}), [F]],
      [said('b1', ['a poem', 'SECRET'], { user: 'bo', heldOut: true }), [F]],
    ];
    const { rows, reasons } = await filter(of, { model });
    expect(rows).toMatchObject([{ user: 'ada', followUps: 1, reAttemptsWithFeedback: 1 }]);
    expect(reasons).toEqual({ bo: 'no-follow-ups' });
    expect(model.asked.map(textOf)).toEqual(['longer']);
  });

  it('shows feedback first where not all fits', async () => {
    const model = scriptedModel({ reply: () => 'Yes' });
    const texts = ['start', 'the feedback', ...Array.from({ length: 40 }, (_, index) => `request ${index}`)];
    await filter([[said('a', texts), [F]]], { model, maxFollowUpTokens: 64 });
    expect(model.asked.map(textOf)).toEqual(['the feedback / request 37 / request 38 / request 39']);
  });

  it('needs a model unless by the rule', async () => {
    await expect(filter(USERS, {})).rejects.toThrow(ConfigError);
    await expect(filter(USERS, {})).rejects.toThrow(
      /needs a model with the method generate; rule needs none/,
    );
  });
});
