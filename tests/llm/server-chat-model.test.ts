/** A server that behaves: what is sent, what comes back, how many at a time, what it costs. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigError, LlmApiError } from '../../src/errors.js';
import { createServerChatModel } from '../../src/llm/server/server-chat-model.js';
import { writeTinyModel } from '../support/tiny-model.js';
import {
  ask,
  type Behaviour,
  collect,
  sendError,
  sendJson,
  sendReply,
  serverOptions,
  startFakeServer,
} from './fake-server.js';
import { fakeServerModels } from './fake-server-models.js';

const { open, setup } = fakeServerModels();

describe.each([true, false])('replies with stream: %s', (stream) => {
  it('come with text, reason and tokens, and the request is what was asked for', async () => {
    const { server, model } = await setup(sendReply, { stream });
    const sampling = {
      temperature: 0.7,
      topP: 0.9,
      topK: 40,
      maxTokens: 50,
      stop: ['END'],
      seed: 2 ** 31 + 5,
    };
    const messages = [
      { role: 'system' as const, content: 'Be kind.' },
      { role: 'user' as const, content: 'Grüße 🙂' },
    ];
    const [outcome] = await collect(model.generate([{ id: 'a', messages, sampling }]));
    expect(outcome).toEqual({
      index: 0,
      id: 'a',
      reply: {
        text: 'echo Grüße 🙂',
        finishReason: 'stop',
        promptTokens: 7,
        completionTokens: 3,
        cached: false,
      },
    });
    expect(server.asked[0]!.body).toEqual({
      model: 'tiny',
      messages,
      ...{ temperature: 0.7, top_p: 0.9, top_k: 40, max_tokens: 50, stop: ['END'], seed: 5 },
      ...(stream ? { stream: true, stream_options: { include_usage: true } } : {}),
    });
    expect(model.usage()).toEqual({
      ...{ requests: 1, cached: 0, failed: 0, promptTokens: 7, completionTokens: 3, cost: null },
    });
  });

  it.each([
    ['length', 'length'],
    ['content_filter', 'filtered'],
    ['stop', 'stop'],
  ])('that end by %s are %s', async (reason, finishReason) => {
    const { model } = await setup((asked, response) => sendReply(asked, response, { finishReason: reason }), {
      stream,
    });
    const [outcome] = await collect(model.generate([ask('x')]));
    expect(outcome!.reply).toMatchObject({ finishReason });
  });

  it('do not hold the stop text, although the server left it in', async () => {
    const { model } = await setup(
      (asked, response) => sendReply(asked, response, { text: 'One, two; three' }),
      {
        stream,
      },
    );
    const [outcome] = await collect(model.generate([ask('x', { sampling: { stop: [';', ','] } })]));
    expect(outcome!.reply).toMatchObject({ text: 'One', finishReason: 'stop' });
  });

  it('without counts of tokens are estimated', async () => {
    const { model } = await setup((asked, response) => sendReply(asked, response, { usage: null }), {
      stream,
    });
    const [outcome] = await collect(model.generate([ask('some words')]));
    expect(outcome!.reply!.promptTokens).toBeGreaterThan(2);
    expect(outcome!.reply!.completionTokens).toBeGreaterThanOrEqual(3);
  });
});

describe('a server that knows no streams', () => {
  it('is understood all the same', async () => {
    const { model } = await setup((asked, response) => {
      sendReply({ ...asked, body: { ...asked.body, stream: false } }, response);
    });
    const [outcome] = await collect(model.generate([ask('x')]));
    expect(outcome!.reply).toMatchObject({ text: 'echo x', promptTokens: 7 });
  });
});

describe('requests', () => {
  it('leave out what changes nothing, and carry the fields asked for', async () => {
    const extraBody = { chat_template_kwargs: { enable_thinking: false } };
    const { server, model } = await setup(sendReply, { stream: false, extraBody });
    await collect(model.generate([ask('x', { sampling: { topP: 0.5, seed: 3 } })]));
    expect(server.asked[0]!.body).toEqual({
      ...{ model: 'tiny', messages: [{ role: 'user', content: 'x' }], temperature: 0, max_tokens: 1024 },
      ...extraBody,
    });
    expect(model.identity).toContain('enable_thinking');
  });

  it('say nothing of this machine and carry no key where there is none', async () => {
    const { server, model } = await setup(sendReply);
    await collect(model.generate([ask('x')]));
    const { host: _, connection: __, ...headers } = server.asked[0]!.headers;
    expect(Object.keys(headers).sort()).toEqual(['accept', 'content-length', 'content-type', 'user-agent']);
  });

  it('carry the key', async () => {
    const { server, model } = await setup(sendReply, {}, ' sk-secret-123\n');
    await collect(model.generate([ask('x')]));
    expect(server.asked[0]!.headers.authorization).toBe('Bearer sk-secret-123');
  });

  it('carry none where none is wanted', async () => {
    const { server, model } = await setup(sendReply, { apiKeyVariable: null }, 'sk-secret-123');
    await collect(model.generate([ask('x')]));
    expect(server.asked[0]!.headers.authorization).toBeUndefined();
  });

  it('are under way no more than allowed at a time, and read no faster than answered', async () => {
    let read = 0;
    function* requests() {
      for (; read < 40; read++) yield ask(`q${read}`);
    }
    // Answers only when four are there.
    const held: (() => void)[] = [];
    const { server, model } = await setup(
      (asked, response) => {
        held.push(() => sendReply(asked, response));
        if (held.length === 4) for (const answer of held.splice(0)) answer();
      },
      { concurrency: 4 },
    );
    const ids: string[] = [];
    for await (const { id, index } of model.generate(requests())) {
      expect(id).toBe(`q${index}`);
      ids.push(id);
      expect(read - ids.length).toBeLessThanOrEqual(9);
    }
    expect(new Set(ids).size).toBe(40);
    expect(server.most).toBe(4);
  });

  it('of several calls share one limit', async () => {
    const held: (() => void)[] = [];
    const inPairs: Behaviour = (asked, response) => {
      held.push(() => sendReply(asked, response));
      if (held.length === 2 || asked.nth === 8) for (const answer of held.splice(0)) answer();
    };
    const { server, model } = await setup(inPairs, { concurrency: 2 });
    const calls = ['a', 'b', 'c'].map((name) =>
      collect(model.generate([ask(`${name}1`), ask(`${name}2`), ask(`${name}3`)])),
    );
    expect((await Promise.all(calls)).flat()).toHaveLength(9);
    expect(server.most).toBe(2);
  });

  it('keep to the pace of requestsPerMinute', async () => {
    const { server, model } = await setup(sendReply, { requestsPerMinute: 1200 });
    await collect(model.generate([1, 2, 3, 4].map((n) => ask(`q${n}`))));
    const times = server.asked.map(({ at }) => at);
    // One each 50 ms; clocks are allowed a little.
    for (let i = 1; i < 4; i++) expect(times[i]! - times[i - 1]!).toBeGreaterThan(35);
  });

  it('may come from a source that waits for the answer to the one before', async () => {
    const { model } = await setup(sendReply);
    let answered = () => {};
    async function* requests() {
      for (let i = 0; i < 3; i++) {
        const done = new Promise<void>((resolve) => (answered = resolve));
        yield ask(`q${i}`);
        await done;
      }
    }
    const seen: string[] = [];
    for await (const { id } of model.generate(requests())) {
      seen.push(id);
      answered();
    }
    expect(seen).toEqual(['q0', 'q1', 'q2']);
  });
});

describe('a server that refuses a field', () => {
  it.each([
    ['stream_options', 'Unexpected keys: {stream_options}'],
    ['seed', 'Unrecognized request argument supplied: seed'],
  ])('is asked without %s from then on', async (field, message) => {
    const { server, model } = await setup((asked, response) => {
      if (field in asked.body) sendError(response, 422, message);
      else sendReply(asked, response);
    });
    const requests = ['a', 'b'].map((text) => ask(text, { sampling: { temperature: 1 } }));
    for (const request of requests) {
      const [outcome] = await collect(model.generate([request]));
      expect(outcome!.reply!.text).toBe(`echo ${request.id}`);
    }
    expect(server.asked.map(({ body }) => field in body)).toEqual([true, false, false]);
  });

  it('gets max_completion_tokens where it asks for that', async () => {
    const { server, model } = await setup((asked, response) => {
      if ('max_tokens' in asked.body)
        sendError(response, 400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.");
      else sendReply(asked, response);
    });
    await collect(model.generate([ask('a', { sampling: { maxTokens: 9 } })]));
    expect(server.asked[1]!.body.max_completion_tokens).toBe(9);
  });

  it('that matters is not obeyed: the request fails', async () => {
    const { server, model } = await setup((_asked, response) =>
      sendError(response, 400, 'unknown field top_k'),
    );
    const [outcome] = await collect(model.generate([ask('a', { sampling: { temperature: 1, topK: 5 } })]));
    expect(outcome!.error!.message).toContain('unknown field top_k');
    expect(server.asked).toHaveLength(1);
  });
});

describe('the context', () => {
  const models = (data: unknown): Behaviour => {
    return (asked, response) =>
      asked.path === '/v1/models'
        ? sendJson(response, 200, { object: 'list', data })
        : sendReply(asked, response);
  };

  it.each([
    ['vLLM', [{ id: 'tiny', max_model_len: 2048 }], 2048],
    ['llama.cpp', [{ id: 'tiny', meta: { n_ctx: 512, n_ctx_train: 9999 } }], 512],
  ])('is what %s says', async (_name, data, tokens) => {
    const { model } = await setup(models(data), { contextTokens: null });
    expect(model.contextTokens).toBe(tokens);
  });

  it.each([
    ['says nothing of it', [{ id: 'tiny' }], /Give contextTokens/],
    ['has another model', [{ id: 'large' }, { id: 'huge' }], /no model called tiny; it has large, huge/],
    ['gives no list', 'nonsense', /Give contextTokens/],
  ])('must be given where the server %s', async (_name, data, message) => {
    const server = await startFakeServer(models(data));
    open.push(server);
    const opening = createServerChatModel(serverOptions(server, { contextTokens: null }));
    await expect(opening).rejects.toThrow(ConfigError);
    await expect(createServerChatModel(serverOptions(server, { contextTokens: null }))).rejects.toThrow(
      message,
    );
  });

  it('that a request does not fit is an error of that request alone, known beforehand with the tokenizer', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-llm-'));
    writeTinyModel(folder);
    const { server, model } = await setup(sendReply, { tokenizer: folder, contextTokens: 60 });
    expect(model.countTokens('the the')).toBeLessThan(5);
    const outcomes = await collect(model.generate([ask('x'.repeat(100)), ask('y')]));
    expect(outcomes[0]!.error).toBeInstanceOf(LlmApiError);
    expect(outcomes[0]!.error!.message).toMatch(/has 1\d\d tokens; the model takes 60/);
    expect(outcomes[0]!.error!.retryable).toBe(false);
    expect(outcomes[1]!.reply).toBeDefined();
    // Cut to what is left of the context.
    expect(server.asked[0]!.body.max_tokens).toBeLessThan(60);
    rmSync(folder, { recursive: true });
  });

  it('that prompt and reply do not fit together leaves less for the reply', async () => {
    const { server, model } = await setup(
      (asked, response) => {
        if ((asked.body.max_tokens as number) > 90)
          sendError(response, 400, "This model's maximum context length is 100 tokens.");
        else sendReply(asked, response);
      },
      { contextTokens: 100 },
    );
    const [outcome] = await collect(model.generate([ask('x', { sampling: { maxTokens: 95 } })]));
    expect(outcome!.reply!.text).toBe('echo x');
    expect(server.asked.map(({ body }) => body.max_tokens)).toEqual([95, 89]);
  });
});

describe('spending', () => {
  const prices = { pricePerMillionPromptTokens: 1000, pricePerMillionCompletionTokens: 10_000 };
  const sampling = { maxTokens: 10 };
  // What is charged: 7 prompt tokens and 3 of the reply. What may be: 11 or so, and 10.
  const each = (7 * 1000 + 3 * 10_000) / 1e6;

  it('is summed up by the prices', async () => {
    const { model } = await setup(sendReply, prices);
    await collect(model.generate([ask('a'), ask('b')]));
    expect(model.usage().cost).toBeCloseTo(2 * each);
  });

  it('ends before a request that may pass the limit; what was asked is still answered', async () => {
    const { server, model } = await setup(sendReply, { ...prices, maxCost: 0.25, concurrency: 3 });
    const seen: string[] = [];
    const run = async () => {
      const requests = Array.from({ length: 20 }, (_, i) => ask(`q${i}`, { sampling }));
      for await (const { id } of model.generate(requests)) seen.push(id);
    };
    await expect(run()).rejects.toThrow(/maxCost is 0.25/);
    expect(seen.length).toBe(server.asked.length);
    expect(seen.length).toBeGreaterThanOrEqual(3);
    // No further one would have fitted, and none passed it.
    expect(model.usage().cost).toBeLessThanOrEqual(0.25);
    expect(model.usage().cost! + 0.13).toBeGreaterThan(0.25);
  });

  it('can be limited in tokens', async () => {
    const { model } = await setup(sendReply, { maxTokensTotal: 50, concurrency: 1 });
    const requests = Array.from({ length: 20 }, (_, i) => ask(`q${i}`, { sampling }));
    await expect(collect(model.generate(requests))).rejects.toThrow(/maxTokensTotal is 50/);
    const { promptTokens, completionTokens } = model.usage();
    expect(promptTokens + completionTokens).toBe(30);
  });

  it('that even one request would pass is not begun', async () => {
    const { server, model } = await setup(sendReply, { maxTokensTotal: 20 });
    await expect(collect(model.generate([ask('x')]))).rejects.toThrow(LlmApiError);
    expect(server.asked).toHaveLength(0);
  });
});
