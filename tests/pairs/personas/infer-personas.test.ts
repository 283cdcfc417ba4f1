import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SplitConversation } from '../../../src/data/conversation.js';
import { inferPersonas, type PersonaSettings } from '../../../src/pairs/personas/infer-personas.js';
import { createPersonaTemplate } from '../../../src/pairs/prompts/persona.js';
import type { PersonaRow, UserMessageType } from '../../../src/pairs/rows.js';
import { classifiedAs, said } from '../support/classified-conversations.js';
import { all, conversation, watchedContext } from '../support/conversations.js';
import { refusedRequest, type ScriptedModel, scriptedModel, textOf } from '../support/scripted-model.js';

/** A prompt that is only the messages, and what is known. */
const PLAIN = createPersonaTemplate(
  '{% if persona %}known: {{ persona }} {% endif %}{% for c in conversations %}[{% for m in c %}{{ m.text }}{{ "*" if m.feedback }},{% endfor %}]{% endfor %}',
);
const FEEDBACK: UserMessageType[] = ['re-attempt-with-feedback'];
const always = (reply = '- Short answers') => scriptedModel({ reply: () => reply });

interface Case {
  conversations: readonly SplitConversation[];
  types?: readonly UserMessageType[];
  settings?: Partial<PersonaSettings>;
  model?: ScriptedModel;
}

async function infer({ conversations, types, settings, model = always() }: Case) {
  const context = watchedContext('users');
  const classified = conversations.flatMap((each) => classifiedAs(each, types));
  const rows = await all(
    inferPersonas(conversations, classified, { template: PLAIN, ...settings, model }, context),
  );
  const counts = context.tally.counts();
  const byUser = new Map(rows.map((row) => [row.user, row]));
  return { rows, counts, byUser, context, asked: model.asked, prompts: model.asked.map(textOf) };
}

describe('a persona', () => {
  it('is built from what the user said, and says from what', async () => {
    const conversations = [said('c1', ['a poem', 'longer']), said('c2', ['a joke'])];
    const model = always('1. **Long** poems\n2. Jokes');
    const { rows, prompts, counts, asked } = await infer({ conversations, types: FEEDBACK, model });
    expect(rows).toEqual([
      {
        user: 'ada',
        persona: '- Long poems\n- Jokes',
        conversations: ['c1', 'c2'],
        messagesShown: 3,
        messagesLeftOut: 0,
        model: 'scripted',
        request: [{ role: 'user', content: '[a poem,longer*,][a joke,]' }],
        reply: '1. **Long** poems\n2. Jokes',
      },
    ]);
    expect(prompts).toHaveLength(1);
    expect(asked[0]).toMatchObject({
      id: 'ada',
      owner: 'ada',
      sampling: { temperature: 0.6, topP: 0.9, seed: 0 },
    });
    expect(counts).toEqual({ unit: 'users', in: 1, out: 1, dropped: {}, noted: { built: 1 } });
  });

  it('shows conversations from the oldest to the newest', async () => {
    const conversations = [
      said('new', ['second'], { time: '2024-02-01T00:00:00Z' }),
      said('old', ['first'], { time: '2024-01-01T00:00:00Z' }),
    ];
    expect((await infer({ conversations })).prompts).toEqual(['[first,][second,]']);
  });

  it('is made for each user, in the order of the users, whatever side they are on', async () => {
    const conversations = ['eve', 'ada', 'bo'].map((user) =>
      said(`of ${user}`, [`${user} one`, `${user} two`], { user, side: user === 'bo' ? 'test' : 'train' }),
    );
    const { rows, prompts } = await infer({ conversations });
    expect(rows.map(({ user }) => user)).toEqual(['eve', 'ada', 'bo']);
    expect(prompts).toEqual(['[eve one,eve two,]', '[ada one,ada two,]', '[bo one,bo two,]']);
  });

  it('is asked for again with another seed where the reply is none', async () => {
    const model = scriptedModel({
      reply: (_, attempt) => (attempt === 0 ? "I'm sorry, I can't help." : '- Short'),
    });
    const { rows, asked } = await infer({
      conversations: [said('c', ['a', 'b'])],
      model,
      settings: { seed: 7 },
    });
    expect(rows[0]).toMatchObject({ persona: '- Short', reply: '- Short' });
    expect(asked.map(({ sampling }) => sampling?.seed)).toEqual([7, 8]);
    expect(asked[1]?.messages).toEqual(asked[0]?.messages);
  });

  it('is drawn the second time, even where the likeliest tokens are asked for', async () => {
    const settings = { temperature: 0 };
    const { asked } = await infer({ conversations: [said('c', ['a', 'b'])], model: always(''), settings });
    expect(asked.map(({ sampling }) => sampling?.temperature)).toEqual([0, 0.6]);
  });

  it.each([
    ['', 'no-persona', 'the reply is empty'],
    ['I cannot provide that.', 'no-persona', 'the model refused: "I cannot provide"'],
    ['None', 'no-persona', 'the reply names no preference'],
  ])('is not made of %j, twice', async (reply, reason, detail) => {
    const { rows, counts, context, asked } = await infer({
      conversations: [said('c', ['a', 'b'])],
      model: always(reply),
    });
    expect(rows).toEqual([]);
    expect(asked).toHaveLength(2);
    expect(counts).toEqual({ unit: 'users', in: 1, out: 0, dropped: { [reason]: 1 } });
    expect(context.dropped).toEqual([{ id: 'ada', user: 'ada', reason, detail }]);
  });

  it('is not made where the request fails, which drops only that user', async () => {
    const model = scriptedModel({
      reply: ({ id }) => (id === 'ada' ? refusedRequest('filtered') : '- Short'),
    });
    const conversations = [said('a', ['x', 'y']), said('b', ['x', 'y'], { user: 'bo' })];
    const { byUser, context } = await infer({ conversations, model });
    expect([...byUser.keys()]).toEqual(['bo']);
    expect(context.dropped).toEqual([
      { id: 'ada', user: 'ada', reason: 'request-failed', detail: 'filtered' },
    ]);
  });
});

describe('users without enough to go by', () => {
  it.each([
    ['one message', [said('c', ['only one'])], 'too-few-messages'],
    ['one message beside empty ones', [said('c', ['one', ' ', ''])], 'too-few-messages'],
    ['nothing but answers', [conversation('c', ['a: hello'], { user: 'ada' })], 'no-messages'],
    ['everything held out', [said('c', ['one', 'two', 'three'], { heldOut: true })], 'no-messages'],
    [
      'too little that is not held out',
      [said('c', ['one']), said('d', ['two', 'three'], { heldOut: true })],
      'too-few-messages',
    ],
  ])('are dropped: %s', async (_, conversations, reason) => {
    const { rows, counts, asked } = await infer({ conversations });
    expect(rows).toEqual([]);
    expect(asked).toEqual([]);
    expect(counts.dropped).toEqual({ [reason]: 1 });
  });

  it('get one where one message is enough', async () => {
    const { rows } = await infer({ conversations: [said('c', ['only one'])], settings: { minMessages: 1 } });
    expect(rows).toHaveLength(1);
  });

  it('and users for whom the context has no room', async () => {
    const model = scriptedModel({ contextTokens: 568 });
    const { counts, asked } = await infer({ conversations: [said('c', ['a', 'b'])], model });
    expect(asked).toEqual([]);
    expect(counts.dropped).toEqual({ 'no-room': 1 });
  });
});

describe('a history that is too long', () => {
  const texts = (id: string) => Array.from({ length: 50 }, (_, index) => `${id}${index} with some words`);

  it('loses its oldest messages, feedback last, and the row says how many', async () => {
    const conversations = [said('a', texts('a')), said('b', texts('b'))];
    const { rows, prompts } = await infer({ conversations, settings: { maxHistoryTokens: 160 } });
    expect(rows[0]).toMatchObject({ messagesShown: 10, messagesLeftOut: 90, conversations: ['a', 'b'] });
    expect(prompts[0]).toMatch(/^\[b40 with .*b49 with some words,\]$/);
    const feedback = await infer({
      conversations,
      types: FEEDBACK,
      settings: { maxHistoryTokens: 160 },
    });
    expect(feedback.prompts[0]).toMatch(
      /^\[a1 with some words\*,\]\[b1 with some words\*,b42 .*b49 [^b]*\]$/,
    );
  });

  it('fits the context with the reply, even under a template that puts much around messages', async () => {
    const model = Object.assign(always(), { contextTokens: 900 });
    const template = createPersonaTemplate(
      `{{ persona }}{% for c in conversations %}{% for m in c %}${'around '.repeat(30)}{{ m.text }} {% endfor %}{% endfor %}`,
    );
    const { rows, prompts } = await infer({
      conversations: [said('a', texts('a'))],
      model,
      settings: { template, maxReplyTokens: 200 },
    });
    expect(rows[0]?.messagesShown).toBeGreaterThan(10);
    expect((prompts[0] ?? '').split(/\s+/).length + 200).toBeLessThanOrEqual(900);
  });
});

describe('with personas of an earlier time', () => {
  const c1 = said('c1', ['a poem', 'longer']);
  const c2 = said('c2', ['a joke', 'funnier']);
  const c3 = said('c3', ['a riddle']);

  async function earlier(conversations: readonly SplitConversation[]): Promise<Map<string, PersonaRow>> {
    return (await infer({ conversations, model: always('- Earlier') })).byUser;
  }

  it('nothing is asked where there is nothing new', async () => {
    const previous = await earlier([c1, c2]);
    const { rows, asked, counts } = await infer({ conversations: [c1, c2], settings: { previous } });
    expect(asked).toEqual([]);
    expect(rows).toEqual([previous.get('ada')]);
    expect(counts).toMatchObject({ in: 1, out: 1, noted: { kept: 1 } });
  });

  it('new conversations bring it up to date, and nothing else is shown', async () => {
    const previous = await earlier([c1, c2]);
    const { rows, prompts, counts } = await infer({
      conversations: [c1, c2, c3],
      settings: { previous },
      model: always('- Later'),
    });
    expect(prompts).toEqual(['known: - Earlier [a riddle,]']);
    expect(rows[0]).toMatchObject({
      persona: '- Later',
      conversations: ['c1', 'c2', 'c3'],
      messagesShown: 5,
      messagesLeftOut: 0,
    });
    expect(counts.noted).toEqual({ updated: 1 });
    const next = new Map(rows.map((row) => [row.user, row]));
    const again = await infer({ conversations: [c3, c1, c2], settings: { previous: next } });
    expect(again.counts.noted).toEqual({ kept: 1 });
  });

  it.each([
    ['one is gone', [c1, c3]],
    ['one is held out by now', [c1, { ...c2, heldOut: true }, c3]],
    ['one has grown', [c1, said('c2', ['a joke', 'funnier', 'shorter']), c3]],
    ['one has become empty', [c1, said('c2', ['', ' ']), c3]],
  ])('it is built anew where %s', async (_, conversations) => {
    const previous = await earlier([c1, c2]);
    const { prompts, rows, counts } = await infer({ conversations, settings: { previous } });
    expect(prompts).toHaveLength(1);
    expect(prompts[0]).not.toContain('known:');
    expect(prompts[0]).toContain('a poem');
    expect(rows[0]?.conversations).toEqual(
      conversations.filter((each) => !each.heldOut && each.turns[0]?.content !== '').map(({ id }) => id),
    );
    expect(counts.noted).toEqual({ built: 1 });
  });

  it('it is built anew by another model', async () => {
    const previous = await earlier([c1, c2]);
    const model = scriptedModel({ identity: 'another', reply: () => '- Other' });
    const { rows, prompts } = await infer({ conversations: [c1, c2], settings: { previous }, model });
    expect(prompts).toEqual(['[a poem,longer,][a joke,funnier,]']);
    expect(rows[0]?.model).toBe('another');
  });

  it('a user of whom too little is left gets none any more', async () => {
    const previous = await earlier([c1, c3]);
    const { rows, counts } = await infer({ conversations: [c3], settings: { previous } });
    expect(rows).toEqual([]);
    expect(counts.dropped).toEqual({ 'too-few-messages': 1 });
  });

  it('what is new but all empty is nothing new', async () => {
    const previous = await earlier([c1]);
    const { counts } = await infer({ conversations: [c1, said('c9', [' '])], settings: { previous } });
    expect(counts.noted).toEqual({ kept: 1 });
  });
});

describe('whatever the conversations', () => {
  const lines = fc.array(fc.constantFrom('u: mine', 'u: mine too', 'u: ', 'a: ANSWER', 's: SYSTEM'), {
    maxLength: 6,
  });
  const users = fc.array(
    fc.array(fc.record({ lines, heldOut: fc.boolean() }), { minLength: 1, maxLength: 5 }),
    { maxLength: 6 },
  );
  const build = (of: { lines: string[]; heldOut: boolean }[][]) =>
    of.flatMap((conversations, user) =>
      conversations.map((each, index) =>
        conversation(
          `${user}-${index}`,
          each.lines.map((line) => (each.heldOut ? line.replace(/mine/, 'SECRET') : line)),
          { user: `user ${user}`, heldOut: each.heldOut },
        ),
      ),
    );

  it('no prompt holds held-out text, an answer, or a word of another user; books add up', async () => {
    await fc.assert(
      fc.asyncProperty(users, fc.boolean(), async (of, withEarlier) => {
        const conversations = build(of);
        const template = createPersonaTemplate();
        const previous = withEarlier
          ? (await infer({ conversations: conversations.slice(0, 3), settings: { template } })).byUser
          : new Map<string, PersonaRow>();
        const { asked, rows, counts, context } = await infer({
          conversations,
          settings: { template, previous },
        });
        for (const request of asked) {
          expect(textOf(request)).not.toMatch(/SECRET|ANSWER|SYSTEM/);
          expect(request.owner).toBe(request.id);
        }
        const people = new Set(conversations.map(({ user }) => user)).size;
        expect(counts.in).toBe(people);
        expect(rows.length + context.dropped.length).toBe(people);
        const heldOut = new Set(conversations.filter((each) => each.heldOut).map(({ id }) => id));
        for (const row of rows) expect(row.conversations.some((id) => heldOut.has(id))).toBe(false);
      }),
    );
  });

  it('the same is asked every time', async () => {
    await fc.assert(
      fc.asyncProperty(users, async (of) => {
        const conversations = build(of);
        const [first, second] = [await infer({ conversations }), await infer({ conversations })];
        expect(second.asked).toEqual(first.asked);
        expect(second.rows).toEqual(first.rows);
      }),
      { numRuns: 20 },
    );
  });
});
