import { describe, expect, it } from 'vitest';
import type { SplitConversation } from '../../../src/data/conversation.js';
import type { PromptOptions } from '../../../src/pairs/candidates/options.js';
import { selectPrompts } from '../../../src/pairs/candidates/select-prompts.js';
import type { UserMessageType } from '../../../src/pairs/rows.js';
import { classifiedAs, said } from '../support/classified-conversations.js';
import { all, conversation, watchedContext } from '../support/conversations.js';

type Talk = [SplitConversation, UserMessageType[]?];

async function select(talks: Talk[], options: PromptOptions = {}, personas?: Map<string, string>) {
  const context = watchedContext('user messages');
  const input = {
    conversations: talks.map(([each]) => each),
    messages: talks.flatMap(([each, types]) => classifiedAs(each, types)),
    ...(personas === undefined ? {} : { personas }),
  };
  const rows = await all(selectPrompts(input, options, context));
  return { rows, ids: rows.map(({ id }) => id), context, counts: context.tally.counts() };
}

const reasons = ({ context }: Awaited<ReturnType<typeof select>>) =>
  context.dropped.map(({ id, reason }) => [id, reason]);

const CITIES = ['Paris', 'London', 'Rome', 'Oslo', 'Cairo', 'Lima', 'Quito', 'Delhi'];
const about = (city: string) => `What should one see in ${city} during the first day of a visit?`;

describe('selectPrompts', () => {
  const talk = said(
    'c',
    [about('Paris'), 'and what about the second day?', 'no, something cheaper', 'thank you'],
    {
      time: '2024-01-01T00:00:00Z',
    },
  );
  const types: UserMessageType[] = ['new-request', 're-attempt-with-feedback', 'positive-feedback'];

  it('takes the first message of each conversation, with the persona', async () => {
    const { rows, counts } = await select([[talk, types]], {}, new Map([['ada', ' Likes it brief. ']]));
    expect(rows).toEqual([
      {
        ...{ id: 'c#0', user: 'ada', conversation: 'c', turn: 0, time: '2024-01-01T00:00:00Z' },
        type: 'initial-request',
        prompt: [{ role: 'user', content: about('Paris') }],
        persona: 'Likes it brief.',
      },
    ]);
    expect(counts).toMatchObject({
      ...{ unit: 'user messages', in: 4, out: 1 },
      dropped: { 'new-request': 1, 're-attempt-with-feedback': 1, 'positive-feedback': 1 },
    });
  });

  it('or follow-ups, with the conversation before them; or both; of the types that are named', async () => {
    const follow = await select([[talk, types]], { prompts: 'follow-ups' });
    expect(follow.ids).toEqual(['c#2', 'c#4']);
    expect(follow.rows[1]?.prompt.map(({ role }) => role)).toEqual([
      'user',
      'assistant',
      'user',
      'assistant',
      'user',
    ]);
    expect(follow.counts.noted).toEqual({ 'no-persona': 2 });
    const { ids } = await select([[talk, types]], {
      prompts: 'both',
      followUpTypes: ['positive-feedback'],
      minCharacters: null,
    });
    expect(ids).toEqual(['c#0', 'c#6']);
  });

  it('keeps a system message in the context', async () => {
    const own = conversation('s', ['s: Be kind.', `u: ${about('Rome')}`, 'a: x']);
    const { rows } = await select([[own]]);
    expect(rows[0]).toMatchObject({ id: 's#1', prompt: [{ role: 'system' }, { role: 'user' }] });
  });

  it('never takes what test users said, nor what is held out', async () => {
    const test = said('t', [about('Paris')], { side: 'test', user: 'tess' });
    const held = said('h', [about('Rome')], { heldOut: true });
    const result = await select([[test], [held], [said('k', [about('Oslo')])]]);
    expect(result.ids).toEqual(['k#0']);
    expect(reasons(result)).toEqual([
      ['t#0', 'test-user'],
      ['h#0', 'held-out'],
    ]);
  });

  it.each<[string, SplitConversation, UserMessageType[], PromptOptions]>([
    ['message-too-short', said('x', ['hi there']), [], { minCharacters: null }],
    ['prompt-too-long', said('x', ['word '.repeat(8000)]), [], { maxPromptCharacters: null }],
    ['no-persona', said('x', [about('Rome')], { user: 'zoe' }), [], { requirePersona: false }],
  ])('drops by a rule that can be turned off: %s', async (reason, bad, kinds, off) => {
    const personas = new Map([['ada', 'p']]);
    const talks: Talk[] = [[said('k', [about('Oslo')])], [bad, kinds]];
    const strict = await select(talks, { requirePersona: true }, personas);
    expect(reasons(strict)).toEqual([['x#0', reason]]);
    expect(strict.counts).toMatchObject({ in: 2, out: 1, dropped: { [reason]: 1 } });
    expect((await select(talks, { requirePersona: true, ...off }, personas)).ids).toEqual(['k#0', 'x#0']);
  });

  it('drops a follow-up whose answer before it is missing or blank', async () => {
    const blank = conversation('b', [`u: ${about('Rome')}`, 'a:  ', 'u: and then what else?'], {
      user: 'ada',
    });
    const result = await select([[blank, ['new-request']]], { prompts: 'both' });
    expect(reasons(result)).toEqual([['b#2', 'no-answer-before']]);
  });
});

describe('duplicates among prompts', () => {
  const talks = (...texts: [user: string, text: string][]): Talk[] =>
    texts.map(([user, text], i) => [said(`c${i}`, [text], { user })]);

  it('are the same up to case and white space, of the same user unless told otherwise', async () => {
    const same = talks(
      ['ada', about('Rome')],
      ['ada', ` ${about('Rome').toUpperCase()}`],
      ['bob', about('Rome')],
    );
    const result = await select(same);
    expect(result.ids).toEqual(['c0#0', 'c2#0']);
    expect(result.context.dropped).toEqual([
      { id: 'c1#0', reason: 'duplicate', detail: 'c0#0 is the same', user: 'ada' },
    ]);
    expect((await select(same, { duplicates: 'all' })).ids).toEqual(['c0#0']);
    expect((await select(same, { duplicates: 'none' })).ids).toHaveLength(3);
  });

  it('may be near: by word triples, above the similarity that is wanted', async () => {
    const long = CITIES.map((city) => about(city)).join(' ');
    const near = talks(['ada', long], ['ada', `${long} Please.`], ['ada', about('Lima')]);
    const result = await select(near);
    expect(result.ids).toEqual(['c0#0', 'c2#0']);
    expect(reasons(result)).toEqual([['c1#0', 'near-duplicate']]);
    expect((await select(near, { nearDuplicateSimilarity: null })).ids).toHaveLength(3);
  });

  it('are not looked for within a conversation, whose prompts begin alike', async () => {
    const long = CITIES.map((city) => about(city)).join(' ');
    const { ids } = await select([[said('c', [long, 'and what else is there?']), ['new-request']]], {
      prompts: 'both',
      duplicates: 'all',
    });
    expect(ids).toEqual(['c#0', 'c#2']);
  });
});

describe('draws of prompts', () => {
  const talks: Talk[] = CITIES.flatMap((city, i) => [
    [said(`a${i}`, [about(city)], { user: `u${i % 2}` })] as Talk,
  ]).sort(([a], [b]) => (a.user < b.user ? -1 : 1));

  it('leave at most so many of each user, and in all, in their order; the others are counted', async () => {
    const perUser = await select(talks, { perUser: 3 });
    expect(perUser.rows.map(({ user }) => user)).toEqual(['u0', 'u0', 'u0', 'u1', 'u1', 'u1']);
    expect(perUser.counts.dropped).toEqual({ 'beyond-user-limit': 2 });
    const three = await select(talks, { size: 3 });
    expect(three.ids).toHaveLength(3);
    expect(three.counts.dropped).toEqual({ 'not-drawn': 5 });
    expect((await select(talks, { size: 100 })).ids).toHaveLength(8);
  });

  it('are the same with the same seed, nested for larger sizes, and others with another', async () => {
    const draw = async (size: number, seed = 0) => (await select(talks, { size, seed })).ids;
    expect(await draw(3)).toEqual(await draw(3));
    expect(await draw(5)).toEqual(expect.arrayContaining(await draw(3)));
    const seeds = await Promise.all([0, 1, 2, 3].map((seed) => draw(3, seed)));
    expect(new Set(seeds.map(String)).size).toBeGreaterThan(1);
  });
});

it('options that cannot be used are named', async () => {
  await expect(select([], { perUser: 0 })).rejects.toThrow(/prompts.*\n.*perUser/s);
});
