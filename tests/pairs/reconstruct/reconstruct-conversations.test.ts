import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SplitConversation } from '../../../src/data/conversation.js';
import { ConfigError } from '../../../src/errors.js';
import type { ChatRequest } from '../../../src/llm/chat-model.js';
import { reconstructConversations } from '../../../src/pairs/reconstruct/reconstruct-conversations.js';
import { answeringModel, apiError } from '../support/answering-model.js';
import { all, conversation, watchedContext } from '../support/conversations.js';

/** Says how many messages it saw, and the last one. */
const echo = ({ messages }: ChatRequest) => `${messages.length}: ${messages.at(-1)?.content}`;

const contents = ({ turns }: SplitConversation) => turns.map(({ content }) => content);

describe('reconstructConversations', () => {
  it('answers every user message anew, in the context of its own answers', async () => {
    const model = answeringModel(echo);
    const context = watchedContext();
    const [made] = await all(
      reconstructConversations(
        [conversation('c', ['s: Be brief.', 'u: hi', 'a: old 1', 'u: more', 'a: old 2', 'u: bye'])],
        { model, seed: 3, maxTokens: 100 },
        context,
      ),
    );
    expect(made).toEqual(
      conversation('c', ['s: Be brief.', 'u: hi', 'a: 2: hi', 'u: more', 'a: 4: more', 'u: bye'], {
        model: 'fake/answering@1',
      }),
    );
    expect(model.requests).toEqual([
      {
        id: 'c:2',
        owner: 'user of c',
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'hi' },
        ],
        sampling: { temperature: 0.6, topP: 0.9, maxTokens: 100, seed: 3 },
      },
      expect.objectContaining({ id: 'c:4', owner: 'user of c' }),
    ]);
    expect(JSON.stringify(model.requests)).not.toContain('old');
    expect(context.tally.counts()).toEqual({ unit: 'rows', in: 1, out: 1, dropped: {} });
  });

  it('keeps what the source says of user messages, and says nothing it does not know of the new answers', async () => {
    const source: SplitConversation = {
      ...conversation('c', []),
      turns: [
        { role: 'user', content: 'hi', time: '2024-01-01T00:00:00Z', toxic: false },
        { role: 'assistant', content: 'old', toxic: true, language: 'English' },
      ],
    };
    const [made] = await all(
      reconstructConversations([source], { model: answeringModel(() => 'new') }, watchedContext()),
    );
    expect(made?.turns).toEqual([source.turns[0], { role: 'assistant', content: 'new' }]);
  });

  it('keeps the order and asks for the next answers of all conversations together', async () => {
    const lengths = [3, 1, 2, 1, 3, 1, 1, 2, 1, 1];
    const input = lengths.map((length, i) =>
      conversation(`c${i}`, Array.from({ length }, (_, j) => [`u: q${j}`, 'a: x']).flat()),
    );
    const model = answeringModel(echo, { window: 3 });
    const context = watchedContext();
    const made = await all(reconstructConversations(input, { model, conversationsAtOnce: 4 }, context));
    expect(made.map(({ id }) => id)).toEqual(input.map(({ id }) => id));
    expect(made.map(({ turns }) => turns.length)).toEqual(lengths.map((length) => 2 * length));
    // 16 answers in calls of 4: a conversation that is done makes room for the next at once.
    expect(model.calls).toEqual([4, 4, 4, 4]);
    expect(context.progress.at(-1)?.done).toBe(10);
  });

  it('reads a source no faster than it works', async () => {
    let read = 0;
    function* source() {
      for (; read < 1000; read++) yield conversation(`c${read}`, ['u: q', 'a: x']);
    }
    const made = reconstructConversations(
      source(),
      { model: answeringModel(echo), conversationsAtOnce: 5 },
      watchedContext(),
    );
    await made.next();
    expect(read).toBeLessThan(10);
    await made.return(undefined);
  });

  it('holds no crowd of finished conversations while an early one goes on', async () => {
    let read = 0;
    let highest = 0;
    function* source() {
      yield conversation('long', Array.from({ length: 20 }, () => ['u: q', 'a: x']).flat());
      for (; read < 500; read++) yield conversation(`t${read}`, ['u: q', 'a: x'], { side: 'test' });
    }
    const model = answeringModel((request) => {
      highest = Math.max(highest, read);
      return echo(request);
    });
    const made = await all(
      reconstructConversations(source(), { model, conversationsAtOnce: 2 }, watchedContext()),
    );
    expect(made).toHaveLength(501);
    expect(highest).toBeLessThan(20);
  });

  it('leaves conversations of test users and held-out ones as they were, unless told otherwise', async () => {
    const input = [
      conversation('a', ['u: q', 'a: old'], { side: 'test' }),
      conversation('b', ['u: q', 'a: old'], { heldOut: true }),
      conversation('c', ['u: q', 'a: old']),
    ];
    const context = watchedContext();
    const made = await all(reconstructConversations(input, { model: answeringModel(() => 'new') }, context));
    expect(made.map((each) => [each.model, contents(each)[1]])).toEqual([
      ['gpt-4', 'old'],
      ['gpt-4', 'old'],
      ['fake/answering@1', 'new'],
    ]);
    expect(context.tally.counts().noted).toEqual({ 'left-as-it-was': 2 });
    const everyone = await all(
      reconstructConversations(input, { model: answeringModel(() => 'new'), sides: 'all' }, watchedContext()),
    );
    expect(everyone.map((each) => contents(each)[1])).toEqual(['new', 'new', 'new']);
  });

  it('gives one answer where the source has several in a row, none where it has none', async () => {
    const input = [
      conversation('a', ['u: q', 'a: x', 'a: y', 'u: r', 'u: s', 'a: z']),
      conversation('b', ['u: never answered']),
    ];
    const made = await all(
      reconstructConversations(input, { model: answeringModel(echo) }, watchedContext()),
    );
    expect(made.map(contents)).toEqual([['q', '1: q', 'r', 's', '4: s'], ['never answered']]);
    expect(made[1]?.model).toBe('gpt-4');
  });

  it('takes reasoning out of answers', async () => {
    const model = answeringModel(() => '<think>hm</think>\n\n42');
    const [made] = await all(
      reconstructConversations([conversation('c', ['u: q', 'a: x'])], { model }, watchedContext()),
    );
    expect(contents(made as SplitConversation)).toEqual(['q', '42']);
  });

  it.each([
    ['request-failed', apiError('the prompt is too long'), 'the prompt is too long'],
    ['withheld-answer', { text: 'half', finishReason: 'filtered' }, 'withheld'],
    ['cut-answer', { text: 'on and on', finishReason: 'length', completionTokens: 77 }, '77 tokens'],
    ['empty-answer', ' \n', '\\n'],
  ] as const)('ends a conversation before an answer that cannot be had: %s', async (reason, said, detail) => {
    const model = answeringModel(({ messages }) => (messages.at(-1)?.content === 'bad' ? said : 'good'));
    const context = watchedContext();
    const made = await all(
      reconstructConversations(
        [
          conversation('early', ['u: q', 'a: x', 'u: bad', 'a: y', 'u: r', 'a: z']),
          conversation('nothing', ['u: bad', 'a: x', 'u: q', 'a: y']),
          conversation('whole', ['u: q', 'a: x']),
        ],
        { model },
        context,
      ),
    );
    expect(made.map((each) => [each.id, contents(each)])).toEqual([
      ['early', ['q', 'good', 'bad']],
      ['whole', ['q', 'good']],
    ]);
    expect(context.dropped).toEqual([
      { id: 'nothing', user: 'user of nothing', reason, detail: expect.stringContaining(detail) },
    ]);
    expect(context.tally.counts()).toEqual({
      unit: 'rows',
      in: 3,
      out: 2,
      dropped: { [reason]: 1 },
      noted: { [`ended-early-${reason}`]: 1 },
    });
    expect(context.notices).toEqual([expect.stringContaining(`1 x ${reason}`)]);
  });

  it('goes on after cut answers where that is wanted', async () => {
    const model = answeringModel(() => ({ text: 'on and', finishReason: 'length' }));
    const [made] = await all(
      reconstructConversations(
        [conversation('c', ['u: q', 'a: x', 'u: r', 'a: y'])],
        { model, keepCutAnswers: true },
        watchedContext(),
      ),
    );
    expect(contents(made as SplitConversation)).toEqual(['q', 'on and', 'r', 'on and']);
  });

  it('does not ask where the context is full, and asks for no more than it has room for', async () => {
    const words = (count: number) => Array(count).fill('word').join(' ');
    const model = answeringModel(() => words(100), { contextTokens: 400 });
    const context = watchedContext();
    const made = await all(
      reconstructConversations(
        [
          conversation('c', ['u: q', 'a: x', 'u: r', 'a: y', `u: ${words(80)}`, 'a: z']),
          conversation('d', [`u: ${words(390)}`, 'a: x']),
        ],
        { model, maxTokens: 300 },
        context,
      ),
    );
    expect(made.map(({ id, turns }) => [id, turns.length])).toEqual([['c', 5]]);
    const limits = model.requests.map(({ sampling }) => sampling?.maxTokens);
    expect(limits[0]).toBe(300);
    expect(limits[1]).toBeLessThan(300);
    expect(context.tally.counts()).toMatchObject({
      dropped: { 'context-full': 1 },
      noted: { 'ended-early-context-full': 1 },
    });
    expect(context.dropped[0]?.detail).toBe('0 of 400 tokens would be left for turn 1');
  });

  it('hands on what every request would suffer from', async () => {
    const model = answeringModel(() => {
      throw apiError('no such server');
    });
    const made = reconstructConversations([conversation('c', ['u: q', 'a: x'])], { model }, watchedContext());
    await expect(all(made)).rejects.toThrow('no such server');
  });

  it('names options that cannot be used', async () => {
    const made = reconstructConversations(
      [],
      { model: answeringModel(echo), topP: 0, maxtokens: 1 } as never,
      watchedContext(),
    );
    const failure = expect(all(made)).rejects;
    await failure.toThrow(ConfigError);
    await failure.toThrow(/reconstruct.*\n.*topP.*\n.*maxtokens/s);
  });

  it('always gives all user messages up to where it ends, in order, with balanced books', async () => {
    const lines = fc.array(fc.constantFrom('u: q', 'u: bad', 'a: x'), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(lines, { maxLength: 12 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 6 }),
        async (many, conversationsAtOnce, window) => {
          const input = many.map((each, i) => conversation(`c${i}`, each));
          const model = answeringModel(
            ({ messages }) =>
              messages.at(-1)?.content === 'bad' ? apiError('bad') : echo({ id: '', messages }),
            { window },
          );
          const context = watchedContext();
          const made = await all(reconstructConversations(input, { model, conversationsAtOnce }, context));
          const kept = input.filter(({ id }) => !context.dropped.some((each) => each.id === id));
          expect(made.map(({ id }) => id)).toEqual(kept.map(({ id }) => id));
          made.forEach((each, i) => {
            const users = contents({ ...each, turns: each.turns.filter(({ role }) => role === 'user') });
            const all = (kept[i] as SplitConversation).turns.filter(({ role }) => role === 'user');
            expect(users).toEqual(all.slice(0, users.length).map(({ content }) => content));
            expect(contents(each)).not.toContain('x');
          });
          expect(context.tally.counts().in).toBe(input.length);
        },
      ),
      { numRuns: 100 },
    );
  });
});
