/** Replies that are kept: nothing is asked twice, nothing wrong is given, a user's can be removed. */

import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { LlmApiError } from '../../src/errors.js';
import type {
  ChatModel,
  ChatReply,
  ChatRequest,
  LabelReply,
  LabelRequest,
  Outcome,
} from '../../src/llm/chat-model.js';
import { type CachedChatModel, withReplyCache } from '../../src/llm/reply-cache.js';
import { memoryReplyStore, openReplyStore, type ReplyStore } from '../../src/llm/reply-store.js';
import { ask, collect, sendReply, startFakeServer } from './fake-server.js';

const folders: string[] = [];
afterAll(() => {
  for (const each of folders) rmSync(each, { recursive: true, force: true });
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'persona-dpo-replies-'));
  folders.push(path);
  return path;
}

interface FakeModel extends ChatModel {
  asked: string[];
}

/** Echoes, one request after another; `answer` may change that. */
function fakeModel(
  identity = 'fake',
  answer: (
    request: ChatRequest,
  ) => Partial<ChatReply> | LlmApiError | Promise<Partial<ChatReply>> = () => ({}),
): FakeModel {
  const asked: string[] = [];
  const model: FakeModel = {
    ...{ asked, identity, contextTokens: 100 },
    async *generate(requests, { signal } = {}) {
      let index = 0;
      for await (const request of requests) {
        signal?.throwIfAborted();
        const { id } = request;
        asked.push(request.messages.at(-1)!.content);
        const given = await answer(request);
        signal?.throwIfAborted();
        const text = `${request.messages.at(-1)!.content}! (${asked.length})`;
        const reply: ChatReply = {
          text,
          finishReason: 'stop',
          promptTokens: 5,
          completionTokens: 2,
          cached: false,
        };
        yield given instanceof LlmApiError
          ? { index: index++, id, error: given }
          : { index: index++, id, reply: { ...reply, ...given } };
      }
    },
    async *scoreLabels(requests) {
      let index = 0;
      for await (const { id, labels, messages } of requests as AsyncIterable<LabelRequest>) {
        asked.push(messages.at(-1)!.content);
        const logprobs = labels.map((label) => (label === 'never' ? -Infinity : -label.length));
        yield { index: index++, id, reply: { logprobs, tokens: labels.map(() => 1), cached: false } };
      }
    },
    countTokens: (text) => text.length,
    usage: () => ({
      ...{ requests: asked.length, cached: 0, failed: 0 },
      promptTokens: 0,
      completionTokens: 0,
      cost: null,
    }),
    async dispose() {},
  };
  return model;
}

const texts = (outcomes: Outcome<ChatReply>[]) => outcomes.map(({ reply }) => reply?.text);
const cachedOnes = (outcomes: Outcome<ChatReply>[] | Outcome<LabelReply>[]) =>
  outcomes.map(({ reply }) => reply?.cached);

/** Runs the same requests with a new model on the same file. */
async function runWith(path: string, requests: ChatRequest[], model = fakeModel()) {
  const cached = withReplyCache(model, path);
  const outcomes = await collect(cached.generate(requests));
  const usage = cached.usage();
  await cached.dispose();
  return { outcomes, usage, asked: model.asked };
}

describe('kept replies', () => {
  it('are given by a later run, which asks nothing', async () => {
    const path = join(folder(), 'deep', 'replies.lmdb');
    const requests = ['a', 'b', 'c'].map((text) => ask(text));
    const first = await runWith(path, requests);
    expect(cachedOnes(first.outcomes)).toEqual([false, false, false]);
    const second = await runWith(
      path,
      requests.map((request) => ({ ...request, id: `other ${request.id}` })),
    );
    expect(second.asked).toEqual([]);
    expect(cachedOnes(second.outcomes)).toEqual([true, true, true]);
    expect(texts(second.outcomes)).toEqual(texts(first.outcomes));
    expect(second.outcomes.map(({ id }) => id)).toEqual(['other a', 'other b', 'other c']);
    expect(second.usage).toMatchObject({ requests: 0, cached: 3 });
  });

  it.each<[string, object, object, boolean]>([
    [
      'the same in other words for the defaults',
      {},
      { sampling: { temperature: 0, maxTokens: 1024, stop: [] } },
      true,
    ],
    ['another seed without temperature', { sampling: { seed: 1 } }, { sampling: { seed: 2, topK: 5 } }, true],
    [
      'another seed with temperature',
      { sampling: { temperature: 1, seed: 1 } },
      { sampling: { temperature: 1, seed: 2 } },
      false,
    ],
    ['another temperature', { sampling: { temperature: 1 } }, { sampling: { temperature: 0.5 } }, false],
    ['another limit', {}, { sampling: { maxTokens: 5 } }, false],
    ['another stop text', {}, { sampling: { stop: ['x'] } }, false],
    ['another owner', { owner: 'u' }, { owner: 'v' }, true],
    ['another role', {}, { messages: [{ role: 'system', content: 'q' }] }, false],
    [
      'messages divided otherwise',
      { messages: [{ role: 'user', content: 'qr' }] },
      {
        messages: [
          { role: 'user', content: 'q' },
          { role: 'user', content: 'r' },
        ],
      },
      false,
    ],
  ])('serve, or do not serve, %s', async (_name, one, other, serves) => {
    const path = join(folder(), 'replies.lmdb');
    await runWith(path, [ask('q', one)]);
    const { asked } = await runWith(path, [ask('q', other)]);
    expect(asked).toHaveLength(serves ? 0 : 1);
  });

  it('do not serve another model, and chats not labels', async () => {
    const path = join(folder(), 'replies.lmdb');
    await runWith(path, [ask('q')], fakeModel('one'));
    expect((await runWith(path, [ask('q')], fakeModel('two'))).asked).toHaveLength(1);
    const model = fakeModel('one');
    const cached = withReplyCache(model, path);
    await collect(cached.scoreLabels([{ ...ask('q'), labels: ['a'] }]));
    expect(model.asked).toHaveLength(1);
    await cached.dispose();
  });

  it('are those of labels, too, by the labels in their order', async () => {
    const model = fakeModel();
    const cached = withReplyCache(model, memoryReplyStore());
    const score = (labels: string[]) => collect(cached.scoreLabels([{ ...ask('q'), labels }]));
    const [first] = await score(['yes', 'never']);
    expect(first!.reply).toEqual({ logprobs: [-3, -Infinity], tokens: [1, 1], cached: false });
    const [second] = await score(['yes', 'never']);
    expect(second!.reply).toEqual({ ...first!.reply, cached: true });
    await score(['never', 'yes']);
    expect(model.asked).toHaveLength(2);
  });

  it.each(['length', 'filtered'] as const)('may be %s', async (finishReason) => {
    const path = join(folder(), 'replies.lmdb');
    await runWith(
      path,
      [ask('q')],
      fakeModel('fake', () => ({ finishReason })),
    );
    const { outcomes, asked } = await runWith(path, [ask('q')]);
    expect(asked).toEqual([]);
    expect(outcomes[0]!.reply!.finishReason).toBe(finishReason);
  });

  it('are none of errors', async () => {
    const path = join(folder(), 'replies.lmdb');
    const error = new LlmApiError('busy', { retryable: true });
    const first = await runWith(
      path,
      [ask('q'), ask('q')],
      fakeModel('fake', () => error),
    );
    expect(first.outcomes.map((outcome) => outcome.error)).toEqual([error, error]);
    expect((await runWith(path, [ask('q')])).asked).toEqual(['q']);
  });
});

describe('equal requests under way', () => {
  it('of one call are asked once', async () => {
    const { outcomes, asked, usage } = await runWith(
      join(folder(), 'replies.lmdb'),
      ['a', 'b', 'a', 'a'].map((text, i) => ({ ...ask(text), id: `${i}` })),
    );
    expect(asked).toEqual(['a', 'b']);
    expect(texts(outcomes)).toEqual(['a! (1)', 'b! (2)', 'a! (1)', 'a! (1)']);
    expect(outcomes.map(({ id }) => id)).toEqual(['0', '1', '2', '3']);
    expect(cachedOnes(outcomes)).toEqual([false, false, true, true]);
    expect(usage).toMatchObject({ cached: 2 });
  });

  it('of several calls are asked once', async () => {
    let answer = () => {};
    const held = new Promise<void>((resolve) => (answer = resolve));
    const model = fakeModel('fake', async () => {
      await held;
      return {};
    });
    const cached = withReplyCache(model, memoryReplyStore());
    const calls = [1, 2, 3].map(() => collect(cached.generate([ask('a')])));
    await new Promise((resolve) => setTimeout(resolve, 20));
    answer();
    const outcomes = (await Promise.all(calls)).flat();
    expect(model.asked).toEqual(['a']);
    expect(texts(outcomes)).toEqual(['a! (1)', 'a! (1)', 'a! (1)']);
  });

  it('are asked again where the call that asked was stopped', async () => {
    const model = fakeModel('fake', async () => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      return {};
    });
    const cached = withReplyCache(model, memoryReplyStore());
    const controller = new AbortController();
    const first = collect(cached.generate([ask('a')], { signal: controller.signal }));
    const second = collect(cached.generate([ask('a'), ask('b')]));
    setTimeout(() => controller.abort(new Error('enough')), 10);
    await expect(first).rejects.toThrow('enough');
    expect(texts(await second)).toEqual([expect.stringMatching(/^a!/), expect.stringMatching(/^b!/)]);
    expect(model.asked.filter((each) => each === 'a')).toHaveLength(2);
  });
});

describe('a call', () => {
  it('reads requests no faster than they are answered, kept ones too', async () => {
    const store = memoryReplyStore();
    const all = Array.from({ length: 1000 }, (_, i) => ask(`${i}`));
    await collect(withReplyCache(fakeModel(), store).generate(all));
    let read = 0;
    function* requests() {
      for (const request of all) {
        read++;
        yield request;
      }
    }
    let taken = 0;
    for await (const { reply } of withReplyCache(fakeModel(), store).generate(requests())) {
      expect(reply!.cached).toBe(true);
      expect(read - ++taken).toBeLessThan(100);
    }
    expect(taken).toBe(1000);
  });

  it('may be left in the middle, and the cache used again', async () => {
    const model = fakeModel();
    const cached = withReplyCache(model, memoryReplyStore());
    for await (const _ of cached.generate(Array.from({ length: 500 }, (_, i) => ask(`${i}`)))) break;
    expect(model.asked.length).toBeLessThan(200);
    expect(texts(await collect(cached.generate([ask('0')])))).toEqual(['0! (1)']);
  });

  it('gives what was answered before what ends it', async () => {
    const broken: FakeModel = fakeModel('fake', ({ id }) => {
      if (id === 'c') throw new LlmApiError('spent', { retryable: false });
      return {};
    });
    const seen: string[] = [];
    const run = async () => {
      const cached = withReplyCache(broken, memoryReplyStore());
      for await (const { id } of cached.generate(['a', 'b', 'c', 'd'].map((text) => ask(text))))
        seen.push(id);
    };
    await expect(run()).rejects.toThrow('spent');
    expect(seen).toEqual(['a', 'b']);
  });
});

describe('a file', () => {
  it.each([
    ['is something else', (path: string) => writeFileSync(path, 'no database at all'.repeat(1000))],
    ['was cut short', (path: string) => truncateSync(path, 10_000)],
  ])('that %s is put aside', async (_name, damage) => {
    const place = folder();
    const path = join(place, 'replies.lmdb');
    const requests = Array.from({ length: 50 }, (_, i) => ask(`${i} ${'x'.repeat(2000)}`));
    await runWith(path, requests);
    damage(path);
    const { outcomes, asked } = await runWith(path, requests);
    expect(outcomes).toHaveLength(50);
    expect(asked).toHaveLength(50);
    expect(readdirSync(place)).toContain('replies.lmdb.damaged');
  });

  it('with damaged bytes gives no wrong reply', async () => {
    const path = join(folder(), 'replies.lmdb');
    const word = 'unmistakable';
    await runWith(path, [ask(word)]);
    const bytes = readFileSync(path);
    for (let at = bytes.indexOf(word); at !== -1; at = bytes.indexOf(word, at + 1)) bytes[at] = 0x58;
    writeFileSync(path, bytes);
    const { outcomes, asked } = await runWith(path, [ask(word)]);
    expect(asked).toHaveLength(1);
    expect(texts(outcomes)).toEqual([`${word}! (1)`]);
  });
});

describe('what a user asked for', () => {
  const stores: [string, () => { store: ReplyStore; path?: string }][] = [
    ['in memory', () => ({ store: memoryReplyStore() })],
    [
      'on disk',
      () => {
        const path = join(folder(), 'replies.lmdb');
        return { store: openReplyStore(path), path };
      },
    ],
  ];
  it.each(stores)('can be forgotten %s, without a trace, and the rest stays', async (_name, make) => {
    const { store, path } = make();
    const model = fakeModel();
    const cached: CachedChatModel = withReplyCache(model, store);
    const mine = ['red secret', 'blue secret', 'shared words'].map((text) => ask(text, { owner: 'me' }));
    const yours = ['shared words', 'green words'].map((text) => ask(text, { owner: 'you' }));
    await collect(cached.generate(mine));
    await collect(cached.generate(yours));
    await collect(cached.generate([ask('nobody asked')]));
    expect(model.asked).toHaveLength(5);
    expect(await cached.forgetOwner('stranger')).toBe(0);
    // What both asked for holds words of both.
    expect(await cached.forgetOwner('me')).toBe(3);
    expect(await cached.forgetOwner('me')).toBe(0);
    if (path !== undefined) {
      for (const text of ['red secret', 'blue secret', 'shared words']) {
        expect(readFileSync(path).includes(text)).toBe(false);
      }
      expect(readFileSync(path).includes('green words')).toBe(true);
    }
    await collect(cached.generate([...yours, ask('nobody asked'), ...mine]));
    expect(model.asked.slice(5)).toEqual(['shared words', 'red secret', 'blue secret']);
    expect(await store.forgetOwner('you')).toBe(2);
    await store.close();
  });
});

describe('a run that is killed', () => {
  const PROGRAM = fileURLToPath(new URL('programs/cached-run.ts', import.meta.url));
  const run = (...args: string[]) =>
    new Promise<{ signal: unknown; stdout: string; stderr: string }>((resolve) => {
      const options = { env: { ...process.env, OPENAI_API_KEY: '' } };
      execFile(process.execPath, ['--import', 'tsx', PROGRAM, ...args], options, (error, stdout, stderr) =>
        resolve({ signal: error?.signal, stdout, stderr }),
      );
    });

  it('asks only what is missing when it is started again', async () => {
    const server = await startFakeServer(sendReply);
    const path = join(folder(), 'replies.lmdb');
    const killed = await run(server.url, path, '11');
    expect(killed.signal, killed.stderr).toBe('SIGKILL');
    const before = server.prompts();
    expect(before.length).toBeGreaterThanOrEqual(11);
    const again = await run(server.url, path);
    const { replies, usage } = JSON.parse(again.stdout || again.stderr);
    expect(replies).toEqual(Array.from({ length: 30 }, (_, i) => `echo question ${i}`));
    // What was answered but not yet kept when it was killed is asked twice: at most what was under way.
    const repeated = server.prompts().length - 30;
    expect(repeated).toBeLessThanOrEqual(8);
    expect(usage.cached).toBeGreaterThanOrEqual(11);
    expect(usage.requests + usage.cached).toBe(30);
    const third = server.asked.length;
    await run(server.url, path);
    expect(server.asked.length).toBe(third);
    await server.close();
  });
});
