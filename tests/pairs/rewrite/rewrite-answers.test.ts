import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SplitConversation } from '../../../src/data/conversation.js';
import { createPersonaTemplate } from '../../../src/data/persona-prompt.js';
import { ConfigError } from '../../../src/errors.js';
import { createRewriteTemplate, loadRewriteTemplate } from '../../../src/pairs/prompts/rewrite.js';
import { type RewriteSettings, rewriteAnswers } from '../../../src/pairs/rewrite/rewrite-answers.js';
import { type ClassifiedMessage, FOLLOW_UP_TYPES, type UserMessageType } from '../../../src/pairs/rows.js';
import { type AnsweringModel, answeringModel, apiError } from '../support/answering-model.js';
import { all, conversation, watchedContext } from '../support/conversations.js';

const talk = conversation('c', [
  'u: Tips for tea?',
  'a: Boil it.',
  'u: shorter',
  'a: Boil.',
  'u: friendlier',
  'a: Hi!',
]);

/** The kinds of a conversation's user messages: what is given for some turns, new requests else. */
function kinds(
  { id, user, turns }: SplitConversation,
  types: Record<number, UserMessageType>,
): ClassifiedMessage[] {
  return turns.flatMap(({ role, content }, turn) =>
    role === 'user'
      ? [
          {
            conversation: id,
            user,
            turn,
            type: types[turn] ?? (turn < 2 ? 'initial-request' : 'new-request'),
            characters: content.length,
            number: 1,
          },
        ]
      : [],
  );
}

const FEEDBACK = 're-attempt-with-feedback';

async function rewrite(
  conversations: SplitConversation[],
  messages: ClassifiedMessage[],
  settings: Partial<RewriteSettings> = {},
  personas?: Map<string, string>,
) {
  const context = watchedContext('user messages');
  const model = (settings.model as AnsweringModel | undefined) ?? answeringModel(() => 'Warm the pot first.');
  const rows = await all(
    rewriteAnswers(
      { conversations, messages, ...(personas === undefined ? {} : { personas }) },
      { model, ...settings },
      context,
    ),
  );
  return { rows, model, context };
}

describe('rewriteAnswers', () => {
  it('asks for the answer again in the light of the follow-up, and tells what it asked', async () => {
    const { rows, model, context } = await rewrite([talk], kinds(talk, { 2: FEEDBACK }), {
      template: createRewriteTemplate('Again: {{ follow_up }}'),
      seed: 5,
      maxTokens: 300,
    });
    const request = [
      { role: 'user', content: 'Tips for tea?' },
      { role: 'assistant', content: 'Boil it.' },
      { role: 'user', content: 'Again: shorter' },
    ];
    expect(rows).toEqual([
      {
        id: 'c:2',
        user: 'user of c',
        conversation: 'c',
        turn: 2,
        source: 'rewrite',
        prompt: [{ role: 'user', content: 'Tips for tea?' }],
        original: 'Boil it.',
        followUp: 'shorter',
        rewrite: 'Warm the pot first.',
        model: 'fake/answering@1',
        request,
        finishReason: 'stop',
      },
    ]);
    expect(model.requests).toEqual([
      {
        id: 'c:2',
        owner: 'user of c',
        messages: request,
        sampling: { temperature: 0.6, topP: 0.9, maxTokens: 300, seed: 5 },
      },
    ]);
    expect(context.tally.counts()).toEqual({
      unit: 'user messages',
      in: 3,
      out: 1,
      dropped: { 'initial-request': 1, 'new-request': 1 },
      noted: { 'no-persona': 1 },
    });
  });

  it('chains: a follow-up to a follow-up has the turns before it as they were', async () => {
    const { rows } = await rewrite([talk], kinds(talk, { 2: FEEDBACK, 4: FEEDBACK }));
    expect(
      rows.map(({ turn, prompt, original, followUp }) => ({ turn, prompt, original, followUp })),
    ).toEqual([
      { turn: 2, prompt: talk.turns.slice(0, 1), original: 'Boil it.', followUp: 'shorter' },
      { turn: 4, prompt: talk.turns.slice(0, 3), original: 'Boil.', followUp: 'friendlier' },
    ]);
  });

  it('shows the persona as system message, and the conversation has its own in it', async () => {
    const second = conversation('d', ['s: You are a cook.', 'u: q', 'a: x', 'u: f'], { user: 'u2' });
    const personas = new Map([
      ['user of c', 'Likes it brief.'],
      ['u2', 'Likes jokes.'],
    ]);
    const settings = { personaTemplate: createPersonaTemplate('Knows: {{ persona }}') };
    const messages = [...kinds(talk, { 2: FEEDBACK }), ...kinds(second, { 3: FEEDBACK })];
    const { rows, context } = await rewrite([talk, second], messages, settings, personas);
    expect(rows.map(({ persona, request, prompt }) => [persona, request[0], prompt[0]])).toEqual([
      ['Likes it brief.', { role: 'system', content: 'Knows: Likes it brief.' }, talk.turns[0]],
      [
        'Likes jokes.',
        { role: 'system', content: 'You are a cook.\n\nKnows: Likes jokes.' },
        second.turns[0],
      ],
    ]);
    expect(context.tally.counts().noted).toBeUndefined();
    const without = await rewrite([talk, second], messages, { ...settings, persona: false }, personas);
    expect(without.rows.map((row) => ['persona' in row, row.request[0]])).toEqual([
      [false, talk.turns[0]],
      [false, second.turns[0]],
    ]);
  });

  it('from scratch sees neither the old answer nor what the user said to it', async () => {
    const personas = new Map([['user of c', 'Likes it brief.']]);
    const { rows } = await rewrite([talk], kinds(talk, { 4: FEEDBACK }), { source: 'scratch' }, personas);
    expect(rows[0]).toMatchObject({ source: 'scratch', original: 'Boil.', followUp: 'friendlier' });
    expect(rows[0]?.request[0]?.content).toContain('Likes it brief.');
    expect(rows[0]?.request.slice(1)).toEqual(talk.turns.slice(0, 3));
  });

  it('for math never has a persona', async () => {
    const personas = new Map([['user of c', 'Likes it brief.']]);
    const { rows, context } = await rewrite(
      [talk],
      kinds(talk, { 2: FEEDBACK }),
      { source: 'math' },
      personas,
    );
    expect(rows[0]).toMatchObject({ source: 'math' });
    expect(rows[0]).not.toHaveProperty('persona');
    expect(rows[0]?.request[0]?.role).toBe('user');
    expect(context.tally.counts().noted).toBeUndefined();
  });

  it('gives rows in the order of the conversations, whatever the order of the messages and replies', async () => {
    const many = Array.from({ length: 9 }, (_, i) =>
      conversation(`c${i}`, ['u: q', 'a: x', 'u: f', 'a: y', 'u: g']),
    );
    const messages = many.flatMap((each) => kinds(each, { 2: FEEDBACK, 4: FEEDBACK })).reverse();
    const { rows } = await rewrite(many, messages, { model: answeringModel(() => 'new', { window: 5 }) });
    expect(rows.map(({ id }) => id)).toEqual(many.flatMap(({ id }) => [`${id}:2`, `${id}:4`]));
  });

  it.each([
    ['test-user', ['u: q', 'a: x', 'u: f'], { side: 'test' }],
    ['held-out', ['u: q', 'a: x', 'u: f'], { heldOut: true }],
    ['no-answer-before', ['u: q', 'u: r', 'u: f'], {}],
    ['no-answer-before', ['u: q', 'a:  ', 'u: f'], {}],
    ['no-request-before', ['a: hello', 'a: x', 'u: f'], {}],
    ['no-request-before', ['s: rules', 'a: x', 'u: f'], {}],
    ['no-such-message', ['u: q', 'a: x', 'a: y'], {}],
    ['no-such-message', ['u: q', 'a: x'], {}],
  ] as const)('drops what it cannot use: %s', async (reason, lines, rest) => {
    const broken = conversation('b', lines, rest);
    const messages = kinds(conversation('b', ['u: q', 'a: x', 'u: f']), { 2: FEEDBACK });
    const { rows, context } = await rewrite([broken], messages);
    expect(rows).toEqual([]);
    expect(context.dropped).toEqual([expect.objectContaining({ id: 'b:2', reason, user: 'user of b' })]);
    expect(context.tally.counts().dropped).toEqual({ 'initial-request': 1, [reason]: 1 });
  });

  it('drops messages of conversations that do not come, and messages that come twice', async () => {
    const messages = kinds(talk, { 2: FEEDBACK });
    const { rows, context } = await rewrite(
      [talk],
      [...messages, messages[1] as ClassifiedMessage, ...kinds({ ...talk, id: 'gone' }, { 4: FEEDBACK })],
    );
    expect(rows).toHaveLength(1);
    expect(context.dropped).toEqual([
      { id: 'c:2', reason: 'duplicate-message', user: 'user of c' },
      { id: 'gone:4', reason: 'no-such-conversation', user: 'user of c' },
    ]);
  });

  it.each([
    ['request-failed', apiError('no luck')],
    ['withheld-answer', { text: 'half', finishReason: 'filtered' }],
    ['cut-answer', { text: 'on and on', finishReason: 'length' }],
    ['empty-answer', '<think>what to say?</think> '],
    ['refusal', "I'm sorry, but I can't help with that."],
    ['echoes-follow-up', ' shorter\n'],
    ['echoes-follow-up', 'Here it is: "Shorter!"'],
    ['echoes-instruction', 'Rewrite this answer to: "shorter"'],
    ['echoes-instruction', `Fine. ${createRewriteTemplate().render('').slice(0, 120)}`],
  ] as const)('drops a reply that is of no use: %s', async (reason, said) => {
    const model = answeringModel(({ id }) => (id === 'c:2' ? said : 'fine'));
    const { rows, context } = await rewrite([talk], kinds(talk, { 2: FEEDBACK, 4: FEEDBACK }), { model });
    expect(rows.map(({ id }) => id)).toEqual(['c:4']);
    expect(context.dropped).toEqual([expect.objectContaining({ id: 'c:2', reason, user: 'user of c' })]);
    expect(context.tally.counts()).toMatchObject({ in: 3, out: 1 });
  });

  it('takes no echo for one where the words are those of the user, or nothing was asked', async () => {
    const words = 'one two three four five six seven eight nine ten eleven';
    const template = createRewriteTemplate(`${words}: {{ follow_up }}`);
    const more = 'Then come twelve and thirteen, and so on, and after a while a hundred and all the others.';
    const model = () => answeringModel(() => `It is ${words}. ${more}`);
    const counted = conversation('n', ['u: q', 'a: x', `u: ${words}`, 'a: y', 'u: count']);
    const messages = kinds(counted, { 2: FEEDBACK, 4: FEEDBACK });
    const { rows } = await rewrite([counted], messages, { template, model: model() });
    expect(rows.map(({ id }) => id)).toEqual(['n:2']);
    const scratch = await rewrite([counted], messages, { template, model: model(), source: 'scratch' });
    expect(scratch.rows).toHaveLength(2);
  });

  it('does not ask where an answer of that length would have no room', async () => {
    const long = conversation('l', ['u: q', `a: ${'word '.repeat(200)}`, 'u: f']);
    const { context, model } = await rewrite([long], kinds(long, { 2: FEEDBACK }), {
      model: answeringModel(() => 'new', { contextTokens: 480 }),
    });
    expect(model.requests).toEqual([]);
    expect(context.dropped).toEqual([expect.objectContaining({ id: 'l:2', reason: 'context-full' })]);
  });

  it('counts every type of message under its name', async () => {
    const messages = [...FOLLOW_UP_TYPES, 'unclassified' as const].flatMap((type, i) =>
      kinds({ ...talk, id: `t${i}`, turns: talk.turns.slice(2, 3) }, { 0: type }),
    );
    const { context } = await rewrite([], messages);
    expect(context.tally.counts().dropped).toEqual({
      'new-request': 1,
      'no-such-conversation': 1,
      're-attempt-without-feedback': 1,
      'positive-feedback': 1,
      unclassified: 1,
    });
  });

  it('never lets the follow-up, or what comes after the original, into the prompt', async () => {
    const mark = fc.constantFrom<UserMessageType>(FEEDBACK, 'new-request', 'positive-feedback');
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(mark, { minLength: 1, maxLength: 6 }), { maxLength: 5 }),
        fc.constantFrom<'rewrite' | 'scratch' | 'math'>('rewrite', 'scratch', 'math'),
        async (many, source) => {
          // Every text is unlike all others, so that finding it anywhere tells where it came from.
          const input = many.map((types, i) =>
            conversation(
              `c${i}`,
              types.flatMap((_, j) => [`u: <user ${i} ${j}>`, `a: <answer ${i} ${j}>`]),
            ),
          );
          const messages = input.flatMap((each, i) =>
            kinds(
              each,
              Object.fromEntries(
                (many[i] ?? []).map((type, j) => [2 * j, j === 0 ? 'initial-request' : type]),
              ),
            ),
          );
          const { rows, model, context } = await rewrite(input, messages, {
            source,
            model: answeringModel(() => '<rewrite>', { window: 3 }),
          });
          expect(rows.length).toBe(messages.filter(({ type }) => type === FEEDBACK).length);
          for (const { conversation: name, turn, prompt, original, followUp, request } of rows) {
            const turns = input.find(({ id }) => id === name)?.turns ?? [];
            expect([original, followUp]).toEqual([turns[turn - 1]?.content, turns[turn]?.content]);
            expect(prompt).toEqual(turns.slice(0, turn - 1));
            expect(prompt.at(-1)?.role).toBe('user');
            const [inPrompt, inRequest] = [JSON.stringify(prompt), JSON.stringify(request)];
            for (const later of turns.slice(turn - 1)) expect(inPrompt).not.toContain(later.content);
            const unseen = turns.slice(source === 'scratch' ? turn - 1 : turn + 1);
            for (const later of unseen) expect(inRequest).not.toContain(later.content);
          }
          expect(model.requests.every(({ owner }) => owner?.startsWith('user of'))).toBe(true);
          expect(context.tally.counts().in).toBe(messages.length);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('the rewrite template', () => {
  it('shows the follow-up as it is, whatever is in it', () => {
    const text = createRewriteTemplate().render('  {{ 7 * 7 }} {% if %} \n<b> ');
    expect(text).toContain('"{{ 7 * 7 }} {% if %} \n<b>"');
  });

  it('can be a file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'rewrite-'));
    try {
      const path = join(folder, 'mine.jinja');
      writeFileSync(path, 'Mend it: {{ follow_up }}\n');
      expect(loadRewriteTemplate(path).render('now')).toBe('Mend it: now');
      writeFileSync(path, 'Mend it.');
      expect(() => loadRewriteTemplate(path)).toThrow(/mine\.jinja must show.*\{\{ follow_up \}\}/);
      expect(() => loadRewriteTemplate(join(folder, 'none.jinja'))).toThrow(ConfigError);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('must be Jinja', () => {
    expect(() => createRewriteTemplate('{{ follow_up')).toThrow(/not valid Jinja/);
  });
});
