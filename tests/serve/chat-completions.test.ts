/** The official client against a tiny model: answers, streams, many at a time. */

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLocalChatModel } from '../../src/llm/local-chat-model.js';
import { saveAdapter } from '../../src/models/adapter-files.js';
import { createLoraAdapter } from '../../src/models/create-adapter.js';
import type { LoadedModel } from '../../src/models/load-model.js';
import { memory, tensor } from '../../src/runtime/tensor.js';
import { type LocalServedModels, localServedModels } from '../../src/serve/local-served-models.js';
import { collect } from '../llm/fake-server.js';
import {
  folder,
  loadTiny,
  removeFolders,
  serveForTest,
  stopServers,
  type TestServer,
  until,
} from './support.js';

let loaded: LoadedModel;
let local: LocalServedModels;
let server: TestServer;

beforeAll(async () => {
  loaded = await loadTiny();
  local = localServedModels(loaded, { name: 'tiny', maxBatch: 8 });
  server = await serveForTest({ models: local.models });
});

afterAll(async () => {
  await stopServers();
  await local.close();
  loaded.dispose();
  removeFolders();
});

const WORDS = ['the tin', 'an otter you', 'reall', 'she', 'inner man', 'you and the other you', 'a', 'st'];

function messages(content: string) {
  return [{ role: 'user' as const, content }];
}

/** What the local chat model says, one request at a time. */
async function expected(content: string, sampling: object = {}) {
  const model = await createLocalChatModel(loaded);
  const request = { id: 'x', messages: messages(content), sampling: { maxTokens: 24, ...sampling } };
  const [outcome] = await collect(model.generate([request]));
  return outcome!.reply!;
}

async function create(content: string, options: object = {}) {
  const body = { model: 'tiny', messages: messages(content), temperature: 0, max_tokens: 24, ...options };
  return server.client.chat.completions.create({ ...body, stream: false });
}

async function stream(content: string, options: object = {}) {
  const body = { model: 'tiny', messages: messages(content), temperature: 0, max_tokens: 24, ...options };
  return server.client.chat.completions.create({ ...body, stream: true });
}

describe('an answer', () => {
  it('is what the model itself says, with its tokens counted', async () => {
    const reply = await expected('the tin');
    const { choices, usage, model, object, id } = await create('the tin');
    expect(choices).toEqual([
      {
        index: 0,
        message: { role: 'assistant', content: reply.text, refusal: null },
        logprobs: null,
        finish_reason: reply.finishReason,
      },
    ]);
    const { promptTokens, completionTokens } = reply;
    expect(usage).toEqual({
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
    });
    expect([model, object]).toEqual(['tiny', 'chat.completion']);
    expect(id).toMatch(/^chatcmpl-/);
  });

  it('comes in pieces that joined are the same, with whole characters only', async () => {
    const { text, completionTokens, promptTokens } = await expected('she', { maxTokens: 60 });
    const pieces = await collectChunks(
      await stream('she', { max_tokens: 60, stream_options: { include_usage: true } }),
    );
    expect(pieces[0]!.choices[0]!.delta).toEqual({ role: 'assistant', content: '' });
    const parts = pieces.flatMap(({ choices }) => choices[0]?.delta.content ?? []);
    expect(parts.join('')).toBe(text);
    expect(parts.length).toBeGreaterThan(1);
    expect(pieces.at(-1)).toMatchObject({
      choices: [],
      usage: { prompt_tokens: promptTokens, completion_tokens: completionTokens },
    });
    expect(pieces.at(-2)!.choices[0]!.finish_reason).toBe('length');
    expect(pieces.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
  });

  it('drawn from bytes that are mostly no characters comes in whole characters, and is the same', async () => {
    const options = { temperature: 1.5, max_tokens: 60 };
    const parts = await Promise.all(
      WORDS.map(async (word, seed) => {
        const whole = await create(word, { ...options, seed });
        const pieces = await collectChunks(await stream(word, { ...options, seed }));
        const texts = pieces.flatMap(({ choices: [choice] }) => choice?.delta.content ?? []);
        expect(texts.join('')).toBe(whole.choices[0]!.message.content);
        return texts;
      }),
    );
    const all = parts.flat();
    expect(all.length).toBeGreaterThan(100);
    expect(all.join('')).toMatch(/[\u0080-\u07ff]/);
    for (const part of all) expect(part).not.toMatch(/\p{Surrogate}/u);
  });

  it('ends before a stop text, streamed or not', async () => {
    const { text } = await expected('the tin');
    const stop = text.slice(6, 9);
    const cut = text.slice(0, text.indexOf(stop));
    const { choices } = await create('the tin', { stop });
    expect(choices[0]).toMatchObject({ message: { content: cut }, finish_reason: 'stop' });
    const pieces = await collectChunks(await stream('the tin', { stop: ['\u0000never', stop] }));
    expect(pieces.flatMap(({ choices: [choice] }) => choice?.delta.content ?? []).join('')).toBe(cut);
    expect(pieces.at(-1)!.choices[0]!.finish_reason).toBe('stop');
  });

  it('is drawn again with the same seed, and n of them differ', async () => {
    const options = { temperature: 1, top_p: 0.95, seed: 7, n: 4 };
    const [first, again] = await Promise.all([create('reall', options), create('reall', options)]);
    const texts = (of: typeof first) => of.choices.map(({ message }) => message.content);
    expect(texts(first)).toEqual(texts(again));
    expect(new Set(texts(first)).size).toBe(4);
    expect(first.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    const pieces = await collectChunks(await stream('reall', options));
    const streamed = [0, 1, 2, 3].map((index) =>
      pieces
        .flatMap(({ choices: [choice] }) => (choice?.index === index ? (choice.delta.content ?? '') : []))
        .join(''),
    );
    expect(streamed).toEqual(texts(first));
  });

  it('follows a system message, parts of a text, and a developer', async () => {
    const conversation = (role: 'system' | 'developer', content: unknown) =>
      server.client.chat.completions.create({
        ...{ model: 'tiny', temperature: 0, max_tokens: 8 },
        messages: [{ role, content } as never, ...messages('the tin')],
      });
    const plain = await conversation('system', 'an inn\nthe other');
    const parts = await conversation('developer', [
      { type: 'text', text: 'an inn' },
      { type: 'text', text: 'the other' },
    ]);
    const without = await create('the tin', { max_tokens: 8 });
    expect(parts.usage).toEqual(plain.usage);
    expect(parts.choices[0]!.message.content).toBe(plain.choices[0]!.message.content);
    expect(plain.usage!.prompt_tokens).toBeGreaterThan(without.usage!.prompt_tokens);
  });

  it('is cut where the context ends', async () => {
    const { choices, usage } = await create('x'.repeat(470), { max_tokens: 200 });
    expect(choices[0]!.finish_reason).toBe('length');
    expect(usage!.total_tokens).toBeLessThanOrEqual(512);
  });
});

describe('many requests', () => {
  it('from 8 clients at once are all answered, each as if it were alone', async () => {
    const tasks = Array.from({ length: 8 }, async (_, client) => {
      const answers: string[] = [];
      for (let turn = 0; turn < 4; turn++) {
        const content = `${WORDS[(client + turn) % WORDS.length]} ${client}`;
        // Of unlike lengths, so that some leave while others go on, and more enter than the batch holds.
        const max_tokens = 4 + ((5 * client + 3 * turn) % 17);
        const n = 1 + ((client + turn) % 3);
        const { choices } = await create(content, { max_tokens, n });
        const { text } = await expected(content, { maxTokens: max_tokens });
        for (const { message } of choices) expect(message.content).toBe(text);
        answers.push(choices[0]!.message.content!);
      }
      return answers;
    });
    const all = (await Promise.all(tasks)).flat();
    expect(all).toHaveLength(32);
    expect(new Set(all).size).toBeGreaterThan(16);
  });

  it('with samplings of their own do not mix', async () => {
    const options = (i: number) => ({ temperature: [0, 0.5, 1][i % 3], top_k: i % 2 === 0 ? 5 : 0, seed: i });
    const together = await Promise.all(WORDS.map((word, i) => create(word, options(i))));
    for (const [i, word] of WORDS.entries()) {
      const alone = await create(word, options(i));
      expect(together[i]!.choices).toEqual(alone.choices);
    }
  });

  it('whose clients leave let the others go on, and free what they held', async () => {
    const before = memory();
    const leaving = await stream('she', { max_tokens: 400 });
    const staying = create('the tin');
    for await (const _ of leaving) break;
    leaving.controller.abort();
    const { text } = await expected('the tin');
    expect((await staying).choices[0]!.message.content).toBe(text);
    await until(() => server.entries.some(({ error }) => error === 'client-gone'));
    await until(() => memory().tensors === before.tensors);
  });

  it('are answered after a computation has failed, which ends only those that were in it', async () => {
    const { model } = loaded;
    const { finalNorm } = model.weights;
    model.weights.finalNorm = tensor('float32', finalNorm.shape, new Float32Array(32).fill(Number.NaN));
    await expect(create('the tin')).rejects.toThrow(/could not answer/);
    model.weights.finalNorm.dispose();
    model.weights.finalNorm = finalNorm;
    expect(String(server.errors.splice(0))).toContain('not finite');
    const { text } = await expected('the tin');
    expect((await create('the tin')).choices[0]!.message.content).toBe(text);
  });

  it('leave nothing behind in memory', async () => {
    await create('the tin');
    const before = memory();
    await Promise.all(WORDS.map((word) => create(word)));
    expect(memory()).toEqual(before);
  });
});

describe('adapters', () => {
  it('are models of their own on the same weights', async () => {
    const before = memory();
    const adapter = createLoraAdapter(loaded.model, { rank: 2, seed: 3 });
    for (const layer of adapter.layers) {
      for (const [name, factor] of Object.entries(layer)) {
        if (!name.endsWith('.B')) continue;
        const size = factor.shape.reduce((product, length) => product * length, 1);
        layer[name] = tensor(
          'float32',
          factor.shape,
          Float32Array.from({ length: size }, (_, i) => Math.sin(i)),
        );
        factor.dispose();
      }
    }
    loaded.model.attach(adapter);
    const path = join(folder(), 'adapter');
    saveAdapter(adapter, path);
    const withAdapter = await expected('the tin');
    loaded.model.detach()?.dispose();
    const plain = await expected('the tin');
    expect(withAdapter.text).not.toBe(plain.text);

    const both = localServedModels(loaded, { name: 'tiny', adapters: { mine: path } });
    const other = await serveForTest({ models: both.models });
    const ask = (model: string) =>
      other.client.chat.completions.create({
        ...{ model, messages: messages('the tin'), temperature: 0, max_tokens: 24 },
      });
    const [base, mine] = await Promise.all([ask('tiny'), ask('mine')]);
    expect(base.choices[0]!.message.content).toBe(plain.text);
    expect(mine.choices[0]!.message.content).toBe(withAdapter.text);
    const names = (await other.client.models.list()).data.map(({ id }) => id);
    expect(names).toEqual(['tiny', 'mine']);
    await other.stop();
    await both.close();
    expect(memory()).toEqual(before);
  });
});

async function collectChunks<Chunk>(chunks: AsyncIterable<Chunk>): Promise<Chunk[]> {
  const all: Chunk[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}
