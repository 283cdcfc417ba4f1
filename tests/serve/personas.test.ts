/** Personas of users that talk: looked up, inferred, brought up to date, kept, forgotten. */

import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { writeConversations } from '../../src/data/conversations/conversation-file.js';
import { ConfigError, DataError } from '../../src/errors.js';
import { chatModelOf } from '../../src/serve/chat-model-adapters.js';
import { UserPersonas, type UserPersonasOptions } from '../../src/serve/personas/user-personas.js';
import type { AnswerRequest } from '../../src/serve/served-model.js';
import { type EchoModel, echoModel } from './echo-model.js';
import { folder, removeFolders, serveForTest, stopServers, until } from './support.js';

const open: UserPersonas[] = [];

afterEach(async () => {
  await stopServers();
  for (const each of open.splice(0)) await each.close();
  removeFolders();
});

const textOf = ({ messages }: AnswerRequest) => messages.map(({ content }) => content).join('\n');
/** Whether the model is asked for a persona rather than for an answer. */
const isInference = (request: AnswerRequest) => textOf(request).includes('How does this person want');

/** A model that sums up users by the last word that they said, and else repeats what it is given. */
function personaModel(say?: (request: AnswerRequest) => string): EchoModel {
  return echoModel({
    contextTokens: 2000,
    say: (request) => {
      if (say !== undefined && isInference(request)) return say(request);
      if (!isInference(request)) return textOf(request);
      const said = [...textOf(request).matchAll(/(?:MESSAGE|FEEDBACK): .*?(\w+)$/gm)].map(([, word]) => word);
      const known = /known about how the person wants to be answered:\n- Likes (.*)/.exec(
        textOf(request),
      )?.[1];
      return `- Likes ${[...(known === undefined ? [] : [known]), ...said].join(', ')}`;
    },
  });
}

async function openPersonas(model: EchoModel, options: Partial<UserPersonasOptions> = {}) {
  const notices: string[] = [];
  const personas = await UserPersonas.open({
    state: folder(),
    updateEvery: 2,
    inference: { model: chatModelOf(model), temperature: 0 },
    onNotice: (message) => notices.push(message),
    ...options,
  });
  open.push(personas);
  return { personas, notices };
}

async function serve(model: EchoModel, personas: UserPersonas) {
  const server = await serveForTest({ models: [model], personas });
  const talk = async (user: string | undefined, content: string, further: object = {}) => {
    const body = { model: 'echo', messages: [{ role: 'user', content }], ...further };
    const answer = await server.chat(user === undefined ? body : { ...body, user });
    const choices = answer.body.choices as { message: { content: string } }[] | undefined;
    return { ...answer, said: choices?.[0]?.message.content ?? '' };
  };
  return { ...server, talk };
}

function givenFile(rows: object[]): string {
  const path = join(folder(), 'personas.jsonl');
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return path;
}

function filesIn(state: string): string[] {
  return readdirSync(state, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
}

describe('a persona that is given', () => {
  it('stands before the messages of its user, and of nobody else', async () => {
    const file = givenFile([
      { user: 'ann', persona: '- Wants short answers', conversations: [] },
      { user: 'bob', persona: '' },
    ]);
    const model = personaModel();
    const { personas } = await openPersonas(model, { personas: file });
    const { talk, entries, client } = await serve(model, personas);
    const ann = await talk('ann', 'Hello');
    expect(ann.said).toContain('- Wants short answers');
    expect(ann.said).toMatch(/Hello$/);
    expect(ann.headers.get('x-persona')).toBe('applied');
    for (const user of [undefined, 'bob', 'carl', 'Ann', 'constructor', '__proto__']) {
      const other = await talk(user, 'Hello');
      expect([other.said, other.headers.get('x-persona')]).toEqual(['Hello', 'none']);
    }
    expect(entries.map(({ persona }) => persona)).toEqual([true, ...Array(6).fill(false)]);

    const stream = await client.chat.completions.create({
      ...{ model: 'echo', user: 'ann', stream: true },
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'Hello' },
      ],
    });
    let said = '';
    for await (const { choices } of stream) said += choices[0]?.delta.content ?? '';
    expect(said).toMatch(/^Be kind\.[\s\S]*- Wants short answers\nHello$/);
  });

  it('is found by metadata and by a header too, which must not contradict each other', async () => {
    const file = givenFile([{ user: 'änn/1', persona: 'P' }]);
    const model = personaModel();
    const { personas } = await openPersonas(model, { personas: file });
    const { talk, chat } = await serve(model, personas);
    expect((await talk(undefined, 'x', { metadata: { user: 'änn/1' } })).headers.get('x-persona')).toBe(
      'applied',
    );
    const body = { model: 'echo', messages: [{ role: 'user', content: 'x' }] };
    const header = { 'x-persona-user': encodeURIComponent('änn/1') };
    expect((await chat(body, header)).headers.get('x-persona')).toBe('applied');
    expect(await chat({ ...body, user: 'bob' }, header)).toMatchObject({
      ...{ status: 400, body: { error: { message: 'user and x-persona-user name different users.' } } },
    });
    const off = await talk('änn/1', 'x', { metadata: { persona: 'off' } });
    expect(off.headers.get('x-persona')).toBe('none');
  });

  it('is left out where there is room for the messages alone', async () => {
    const file = givenFile([{ user: 'ann', persona: 'word '.repeat(1950) }]);
    const model = personaModel();
    const { personas } = await openPersonas(model, { personas: file });
    const { talk } = await serve(model, personas);
    const ann = await talk('ann', 'word '.repeat(100));
    expect([ann.status, ann.headers.get('x-persona')]).toEqual([200, 'none']);
    expect((await talk('ann', 'word '.repeat(3000))).status).toBe(400);
  });

  it('is not read from a file that is damaged', async () => {
    const state = folder();
    const bad = givenFile([{ user: 'ann', persona: 'P' }, { user: 'bob' }]);
    await expect(openPersonas(personaModel(), { state, personas: bad })).rejects.toThrow(
      /personas\.jsonl:2: expected/,
    );
    await expect(openPersonas(personaModel(), { history: join(state, 'none.parquet') })).rejects.toThrow(
      DataError,
    );
    // Nothing holds the folder.
    await openPersonas(personaModel(), { state });
  });
});

describe('a persona that is learnt', () => {
  it('comes after so many messages, is brought up to date, and outlasts the server', async () => {
    const state = folder();
    const model = personaModel();
    const first = await openPersonas(model, { state });
    const { talk } = await serve(model, first.personas);
    expect((await talk('ann', 'I want tables')).said).toBe('I want tables');
    expect((await talk('ann', 'and numbers')).said).toBe('and numbers');
    await first.personas.settle();
    expect((await talk('ann', 'go on')).said).toContain('- Likes tables, numbers');
    expect((await talk('bob', 'go on')).said).toBe('go on');
    await stopServers();
    await first.personas.close();
    expect(model.asked.filter(isInference)).toHaveLength(1);

    const second = await openPersonas(model, { state });
    const again = await serve(model, second.personas);
    expect((await again.talk('ann', 'with jokes')).said).toContain('- Likes tables, numbers');
    await second.personas.settle();
    const asked = model.asked.filter(isInference);
    expect(asked).toHaveLength(2);
    expect(textOf(asked[1]!)).toContain('MESSAGE: go on');
    expect(textOf(asked[1]!)).not.toContain('I want tables');
    const { body } = await again.ask('/v1/personas/ann');
    expect(body).toMatchObject({
      user: 'ann',
      persona: '- Likes tables, numbers, on, jokes',
      pending_messages: 0,
    });
    expect(body.updated).toMatch(/^\d{4}-/);
    expect(again.entries.at(-1)!.route).toBe('/v1/personas/:user');
    expect(JSON.stringify(again.entries)).not.toContain('ann');
    expect(second.notices).toEqual([]);
  });

  it('begins with the one that is given', async () => {
    const file = givenFile([{ user: 'ann', persona: '- Likes tea' }]);
    const model = personaModel();
    const { personas } = await openPersonas(model, { personas: file, updateEvery: 1 });
    const { talk } = await serve(model, personas);
    await talk('ann', 'no more coffee');
    await personas.settle();
    expect((await talk('ann', 'x')).said).toContain('- Likes tea, coffee');
  });

  it('rests on what the user said last, once where it is asked again', async () => {
    const model = personaModel();
    const { personas } = await openPersonas(model, { updateEvery: 3 });
    const { talk } = await serve(model, personas);
    const conversation = [
      { role: 'user', content: 'first' },
      { role: 'assistant', content: 'words of the model' },
      { role: 'user', content: 'second' },
    ];
    await talk('ann', 'first');
    await talk('ann', '', { messages: conversation });
    await talk('ann', '', { messages: conversation });
    expect(await personas.view('ann')).toMatchObject({ pendingMessages: 2 });
    await talk('ann', 'third');
    await personas.settle();
    const asked = textOf(model.asked.find(isInference)!);
    expect(asked).toMatch(
      /Conversation 1 ===\n+MESSAGE: first\n+MESSAGE: second\n+=== Conversation 2 ===\n+MESSAGE: third/,
    );
    expect(asked).not.toContain('words of the model');
  });

  it('that the model does not give is asked for again later, not with each message', async () => {
    const model = personaModel(() => 'none');
    const { personas, notices } = await openPersonas(model);
    const { talk } = await serve(model, personas);
    for (let i = 0; i < 12; i++) {
      await talk('ann', `message ${i}`);
      await personas.settle();
    }
    expect((await personas.view('ann'))!.pendingMessages).toBe(8);
    // Twice each time: a second request may draw a better reply.
    expect(model.asked.filter(isInference).length).toBeLessThanOrEqual(2 * 8);
    expect(notices.length).toBeGreaterThan(0);
    expect(notices.join()).not.toContain('ann');
    expect((await talk('ann', 'still answered')).status).toBe(200);
  });
});

describe('history', () => {
  async function historyFile(): Promise<string> {
    const path = join(folder(), 'conversations.parquet');
    const conversation = (id: string, user: string, texts: string[], heldOut = false) => ({
      ...{ id, user, heldOut, side: 'train' as const },
      turns: texts.map((content) => ({ role: 'user' as const, content })),
    });
    await writeConversations(path, [
      conversation('1', 'ann', ['I like maps']),
      conversation('2', 'ann', ['and lists', 'and rhymes']),
      conversation('3', 'ann', ['a secret held out'], true),
      conversation('4', 'bob', ['nothing']),
    ]);
    return path;
  }

  it("is looked through at a user's first request, once", async () => {
    const state = folder();
    const history = await historyFile();
    const model = personaModel();
    const { personas } = await openPersonas(model, { state, history, updateEvery: 9 });
    const { talk } = await serve(model, personas);
    const answers = await Promise.all([talk('ann', 'one'), talk('ann', 'two')]);
    for (const { said } of answers) expect(said).toContain('- Likes maps, lists, rhymes\n');
    expect(model.asked.filter(isInference)).toHaveLength(1);
    expect(textOf(model.asked.find(isInference)!)).not.toContain('held out');
    // Too little is known of one, nothing of the other.
    expect((await talk('bob', 'hello')).said).toBe('hello');
    expect((await talk('carl', 'hello')).said).toBe('hello');
    await stopServers();
    await personas.close();
    const later = await openPersonas(model, { state, history, updateEvery: 9 });
    const again = await serve(model, later.personas);
    expect((await again.talk('ann', 'three')).said).toContain('- Likes maps');
    expect(model.asked.filter(isInference)).toHaveLength(1);
  });

  it('does not keep a user waiting who leaves', async () => {
    const model = echoModel({ contextTokens: 2000, hold: true, say: () => '- Likes maps' });
    const { personas } = await openPersonas(model, { history: await historyFile() });
    const { client, ask } = await serve(model, personas);
    const leaving = new AbortController();
    const asked = client.chat.completions.create(
      { model: 'echo', user: 'ann', messages: [{ role: 'user', content: 'x' }] },
      { signal: leaving.signal },
    );
    await until(() => model.active === 1);
    leaving.abort();
    await expect(asked).rejects.toThrow();
    await until(async () => (await ask('/health')).body.answers === 0);
    model.release();
    await until(() => model.active === 0);
  });
});

describe('forgetting', () => {
  it('removes what is kept, and what was given is not used again', async () => {
    const state = folder();
    const file = givenFile([{ user: 'ann', persona: '- Likes tea' }]);
    const model = personaModel();
    const { personas } = await openPersonas(model, { state, personas: file });
    const { talk, ask } = await serve(model, personas);
    await talk('ann', 'my secret words');
    expect(filesIn(state).join()).toContain('my secret words');
    const gone = await ask('/v1/personas/ann', { method: 'DELETE' });
    expect(gone).toMatchObject({ status: 200, body: { user: 'ann', deleted: true } });
    expect(filesIn(state).join()).not.toMatch(/secret|ann|tea/);
    expect((await ask('/v1/personas/ann')).status).toBe(404);
    expect((await ask('/v1/personas/ann', { method: 'DELETE' })).status).toBe(404);
    expect((await ask('/v1/personas/nobody', { method: 'DELETE' })).status).toBe(404);
    expect((await talk('ann', 'a new word')).said).toBe('a new word');
    await stopServers();
    await personas.close();

    const later = await openPersonas(model, { state, personas: file });
    const again = await serve(model, later.personas);
    expect((await again.talk('ann', 'and another')).said).toBe('and another');
    await later.personas.settle();
    expect((await again.talk('ann', 'x')).said).toContain('- Likes word, another\n');
  });

  it('reaches requests and inferences that are under way', async () => {
    const state = folder();
    const model = echoModel({ contextTokens: 2000, hold: true, say: () => '- Likes secrets' });
    const { personas } = await openPersonas(model, { state, updateEvery: 1 });
    const { talk, ask } = await serve(model, personas);
    const session = await personas.begin('ann', new AbortController().signal);
    await session.said({ text: 'my secret words', initial: true });
    session.close();
    await until(() => model.active === 1);
    const answer = talk('ann', 'another secret');
    await until(() => model.active === 2);
    expect((await ask('/v1/personas/ann', { method: 'DELETE' })).status).toBe(200);
    model.release();
    expect((await answer).status).toBe(200);
    await personas.settle();
    expect(filesIn(state).join()).not.toContain('secret');
    expect((await ask('/v1/personas/ann')).status).toBe(404);
  });
});

describe('the state folder', () => {
  it('holds users by names that lead nowhere else, however they are called', async () => {
    const state = folder();
    const model = personaModel();
    const { personas } = await openPersonas(model, { state });
    const { talk, ask } = await serve(model, personas);
    const users = [
      '../../../etc/passwd',
      '/etc/passwd',
      'a/b',
      '...',
      '%2e%2e',
      'a?b#c',
      'x'.repeat(512),
      '💩',
      'con',
    ];
    for (const [i, user] of users.entries()) {
      expect((await talk(user, `text ${i}`)).status).toBe(200);
      const view = await ask(`/v1/personas/${encodeURIComponent(user)}`);
      expect(view).toMatchObject({ status: 200, body: { user, pending_messages: 1 } });
    }
    const names = readdirSync(join(state, 'users'), { recursive: true }) as string[];
    expect(names.filter((name) => name.endsWith('.json'))).toHaveLength(users.length);
    for (const name of names) expect(name).toMatch(/^[0-9a-f]{2}(\/[0-9a-f]{64}\.json)?$/);
    expect(statSync(join(state, 'folder.json')).isFile()).toBe(true);
  });

  it.each([
    ['is empty', ''],
    ['is blank', '   '],
    // Clients take dots out of addresses, encoded or not: nobody could be forgotten by this name.
    ['is two dots', '..'],
    ['is endless', 'x'.repeat(513)],
    ['holds a line break', 'a\nb'],
    ['holds half a character', 'a\ud800'],
    ['is a number', 7],
  ])('takes no user whose name %s', async (_name, user) => {
    const state = folder();
    const model = personaModel();
    const { personas } = await openPersonas(model, { state });
    const { chat } = await serve(model, personas);
    const answer = await chat({ model: 'echo', messages: [{ role: 'user', content: 'x' }], user });
    expect(answer).toMatchObject({ status: 400, body: { error: { param: 'user' } } });
    expect(existsSync(join(state, 'users'))).toBe(false);
  });

  it('belongs to one server at a time, and to servers alone', async () => {
    const state = folder();
    const { personas } = await openPersonas(personaModel(), { state });
    await expect(openPersonas(personaModel(), { state })).rejects.toThrow(ConfigError);
    await personas.close();
    writeFileSync(join(state, 'folder.json'), '{}');
    await expect(openPersonas(personaModel(), { state })).rejects.toThrow(DataError);
  });

  it('that is damaged for one user is an error for that user alone', async () => {
    const state = folder();
    const model = personaModel();
    const { personas } = await openPersonas(model, { state });
    const { talk, errors } = await serve(model, personas);
    await talk('ann', 'x');
    const [name] = (readdirSync(join(state, 'users'), { recursive: true }) as string[]).filter((each) =>
      each.endsWith('.json'),
    );
    writeFileSync(join(state, 'users', name!), '{"version":1');
    expect(await talk('ann', 'y')).toMatchObject({
      status: 500,
      body: { error: { code: 'internal_error' } },
    });
    expect((await talk('bob', 'y')).status).toBe(200);
    expect(errors).toHaveLength(1);
    expect((errors[0] as Error).message).toContain('expected what a server keeps of a user');
  });
});
