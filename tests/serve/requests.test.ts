/** What the server takes, what it refuses and in which words, and how requests end. */

import { request as httpRequest } from 'node:http';
import OpenAI from 'openai';
import { afterEach, describe, expect, it } from 'vitest';
import { ConfigError, LlmApiError } from '../../src/errors.js';
import { describeEntry } from '../../src/serve/access-log.js';
import { servedChatModel } from '../../src/serve/chat-model-adapters.js';
import { scriptedModel } from '../pairs/support/scripted-model.js';
import { echoModel } from './echo-model.js';
import { serveForTest, stopServers, until } from './support.js';

afterEach(stopServers);

const messages = [{ role: 'user' as const, content: 'the secret word' }];
const body = { model: 'echo', messages };

describe('routes', () => {
  it('tell the models, one by one and all, and that the server is well', async () => {
    const model = echoModel({ name: 'owner/name@main' });
    const { client, ask } = await serveForTest({ models: [model] });
    const list = await client.models.list();
    expect(list.data).toMatchObject([{ id: 'owner/name@main', object: 'model', max_model_len: 200 }]);
    expect(await client.models.retrieve('owner/name@main')).toMatchObject({ id: 'owner/name@main' });
    await expect(client.models.retrieve('other')).rejects.toThrow(OpenAI.NotFoundError);
    expect(await ask('/health')).toMatchObject({ status: 200, body: { status: 'ok', answers: 0 } });
  });

  it('refuse other methods and addresses', async () => {
    const { ask, entries } = await serveForTest({ models: [echoModel()] });
    const get = await ask('/v1/chat/completions');
    expect(get).toMatchObject({ status: 405, body: { error: { code: 'method_not_allowed' } } });
    expect(get.headers.get('allow')).toBe('POST');
    const options = await ask('/v1/chat/completions', {
      method: 'OPTIONS',
      headers: { origin: 'http://a.example' },
    });
    expect(options.status).toBe(405);
    expect([...options.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
    expect(await ask('/v1/embeddings', { method: 'POST' })).toMatchObject({ status: 404 });
    expect(await ask('/v1/personas/ann')).toMatchObject({
      status: 404,
      body: { error: { code: 'unknown_url' } },
    });
    expect(entries.map(({ route }) => route)).toEqual([
      ...['/v1/chat/completions', '/v1/chat/completions', null, null],
    ]);
  });
});

describe('a request is refused', () => {
  const cases: [string, unknown, number, string, string | null][] = [
    ['that is not JSON', '{"model":', 400, 'invalid_json', null],
    ['that is a list', '[]', 400, 'invalid_json', null],
    ['without a model', { messages }, 400, 'missing_required_parameter', 'model'],
    ['for an unknown model', { ...body, model: 'gpt' }, 404, 'model_not_found', 'model'],
    ['without messages', { model: 'echo', messages: [] }, 400, 'invalid_value', 'messages'],
    [
      'with a picture',
      {
        model: 'echo',
        messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }],
      },
      ...([400, 'invalid_value', 'messages[0].content'] as const),
    ],
    [
      'without a content',
      { model: 'echo', messages: [{ role: 'user' }] },
      ...([400, 'missing_required_parameter', 'messages[0].content'] as const),
    ],
    [
      'with the result of a tool',
      { model: 'echo', messages: [{ role: 'tool', content: 'x' }] },
      ...([400, 'invalid_value', 'messages[0].role'] as const),
    ],
    ['with a temperature out of range', { ...body, temperature: 3 }, 400, 'invalid_value', 'temperature'],
    ['with top_p of 0', { ...body, top_p: 0 }, 400, 'invalid_value', 'top_p'],
    ['with an empty stop text', { ...body, stop: ['a', ''] }, 400, 'invalid_value', 'stop[1]'],
    ['for no answer', { ...body, n: 0 }, 400, 'invalid_value', 'n'],
    ['for too many answers', { ...body, n: 3 }, 400, 'invalid_value', 'n'],
    ['for too many tokens', { ...body, max_tokens: 9999 }, 400, 'invalid_value', 'max_completion_tokens'],
    ['that wants log-probabilities', { ...body, logprobs: true }, 400, 'unsupported_parameter', 'logprobs'],
    [
      'that brings tools',
      { ...body, tools: [{ type: 'function', function: { name: 'f' } }] },
      ...([400, 'unsupported_parameter', 'tools'] as const),
    ],
    [
      'that wants JSON',
      { ...body, response_format: { type: 'json_object' } },
      ...([400, 'unsupported_parameter', 'response_format'] as const),
    ],
    [
      'with a penalty',
      { ...body, frequency_penalty: 0.5 },
      ...([400, 'unsupported_parameter', 'frequency_penalty'] as const),
    ],
    [
      'that is too long for the model',
      { ...body, messages: [{ role: 'user', content: 'word '.repeat(300) }] },
      ...([400, 'context_length_exceeded', 'messages'] as const),
    ],
  ];

  it.each(cases)('%s', async (_name, sent, status, code, param) => {
    const model = echoModel();
    const { chat, ask, entries, errors } = await serveForTest({ models: [model] });
    const answer = await chat(sent);
    expect(answer).toMatchObject({ status, body: { error: { code, param, message: expect.any(String) } } });
    expect(Object.keys(answer.body)).toEqual(['error']);
    expect(model.asked).toEqual([]);
    expect(entries).toMatchObject([{ status, error: code, method: 'POST', route: '/v1/chat/completions' }]);
    expect(errors).toEqual([]);
    expect((await ask('/health')).body.answers).toBe(0);
  });

  it('with another content type, which web pages could send unasked', async () => {
    const { ask } = await serveForTest({ models: [echoModel()] });
    const sent = { method: 'POST', headers: { 'content-type': 'text/plain' }, body: JSON.stringify(body) };
    expect(await ask('/v1/chat/completions', sent)).toMatchObject({ status: 415 });
  });

  it('that is larger than allowed, whether it says so or not', async () => {
    const { chat, ask } = await serveForTest({ models: [echoModel()], maxBodyBytes: 500 });
    const large = JSON.stringify({ ...body, extra: 'x'.repeat(1000) });
    expect(await chat(large)).toMatchObject({ status: 413, body: { error: { code: 'request_too_large' } } });
    const chunked = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(large));
        controller.close();
      },
    });
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: chunked,
      duplex: 'half',
    };
    expect(await ask('/v1/chat/completions', init as RequestInit)).toMatchObject({ status: 413 });
    expect(await chat(body)).toMatchObject({ status: 200 });
  });
});

it('fields that do no harm, and those that say nothing, are let be', async () => {
  const { chat } = await serveForTest({ models: [echoModel()] });
  const answer = await chat({
    ...body,
    ...{ store: true, service_tier: 'auto', user: '', prompt_cache_key: 'x', something_new: { a: 1 } },
    ...{ logprobs: false, tools: [], tool_choice: 'auto', frequency_penalty: 0, logit_bias: {}, stop: null },
    ...{ response_format: { type: 'text' }, n: null, seed: -3, max_completion_tokens: 5, stream: null },
  });
  expect(answer.status).toBe(200);
});

describe('keys', () => {
  const apiKey = 'k-0123456789';

  it('are asked for, and only the right one opens', async () => {
    const { ask, client, url, entries } = await serveForTest({ models: [echoModel()], apiKey });
    expect((await client.models.list()).data).toHaveLength(1);
    for (const authorization of ['Bearer wrong', `Bearer ${apiKey}x`, `Basic ${apiKey}`, `Bearer `, apiKey]) {
      const { status, headers, body: said } = await ask('/v1/models', { headers: { authorization } });
      expect([status, headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
      expect(JSON.stringify(said)).not.toContain(apiKey);
    }
    expect(await ask('/v1/models')).toMatchObject({
      status: 401,
      body: { error: { code: 'invalid_api_key' } },
    });
    expect((await ask('/health')).status).toBe(200);
    const wrong = new OpenAI({ baseURL: url, apiKey: 'wrong', maxRetries: 0 });
    await expect(wrong.models.list()).rejects.toThrow(OpenAI.AuthenticationError);
    expect(JSON.stringify(entries)).not.toContain(apiKey);
  });

  it('must be there where other machines can ask, unless it is said that none is wanted', async () => {
    const start = (options: object) => serveForTest({ models: [echoModel()], ...options });
    await expect(start({ host: '0.0.0.0' })).rejects.toThrow(ConfigError);
    await expect(start({ host: '::' })).rejects.toThrow(/Set a key/);
    await expect(start({ host: '0.0.0.0', apiKey: 'short' })).rejects.toThrow(/at least 8/);
    await start({ host: '0.0.0.0', withoutKey: true });
    await start({ host: '0.0.0.0', apiKey });
    await start({ host: 'localhost' });
  });

  it('are not needed on this machine, but web pages of other names do not get in', async () => {
    const { port } = await serveForTest({ models: [echoModel()] });
    const status = (host: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        httpRequest({ port, path: '/v1/models', headers: { host } }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
          .on('error', reject)
          .end();
      });
    expect(await status(`localhost:${port}`)).toBe(200);
    expect(await status('127.0.0.1')).toBe(200);
    expect(await status('[::1]')).toBe(200);
    expect(await status(`evil.example:${port}`)).toBe(403);
    expect(await status('localhost.evil.example')).toBe(403);
  });
});

describe('many requests', () => {
  it('wait as long as the queue is, and are told when to come again beyond that', async () => {
    const model = echoModel({ maxBatch: 2, hold: true });
    const { chat, client, ask } = await serveForTest({ models: [model], maxQueue: 1 });
    const inside = [chat(body), chat({ ...body, n: 2 })];
    await until(() => model.active === 2);
    expect((await ask('/health')).body.answers).toBe(3);
    const refused = await chat(body);
    expect(refused).toMatchObject({
      status: 429,
      body: { error: { type: 'rate_limit_error', code: 'queue_full' } },
    });
    expect(refused.headers.get('retry-after')).toBe('1');
    await expect(client.chat.completions.create(body)).rejects.toThrow(OpenAI.RateLimitError);
    model.release();
    expect((await Promise.all(inside)).map(({ status }) => status)).toEqual([200, 200]);
    expect((await chat(body)).status).toBe(200);
    expect((await ask('/health')).body.answers).toBe(0);
  });

  it('that take too long are ended, streamed or not, and are not asked again', async () => {
    const model = echoModel({ hold: true });
    const { chat, client, entries } = await serveForTest({ models: [model], requestTimeoutMs: 150 });
    const late = await chat(body);
    expect(late).toMatchObject({ status: 504, body: { error: { type: 'timeout_error' } } });
    expect(late.headers.get('x-should-retry')).toBe('false');
    const stream = await client.chat.completions.create({ ...body, stream: true });
    await expect(readAll(stream)).rejects.toThrow(/within 0.15 seconds/);
    await until(() => model.active === 0 && entries.length === 2);
    expect(entries).toMatchObject([
      { status: 504, error: 'timeout' },
      { status: 504, error: 'timeout' },
    ]);
  });

  it('whose client leaves free their place at once, streamed or not', async () => {
    const model = echoModel({ maxBatch: 1, hold: true });
    const { client, url, entries, ask } = await serveForTest({ models: [model], maxQueue: 0 });
    const stream = await client.chat.completions.create({ ...body, stream: true });
    await until(() => model.active === 1);
    stream.controller.abort();
    await until(() => model.active === 0);
    const leaving = new AbortController();
    const whole = fetch(`${url}/chat/completions`, {
      ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
      ...{ body: JSON.stringify(body), signal: leaving.signal },
    });
    await until(() => model.active === 1);
    leaving.abort();
    await expect(whole).rejects.toThrow();
    await until(() => model.active === 0 && entries.length === 2);
    expect(entries).toMatchObject([
      { status: 499, error: 'client-gone' },
      { status: 499, error: 'client-gone' },
    ]);
    model.release();
    expect((await ask('/health')).body.answers).toBe(0);
    expect((await client.chat.completions.create(body)).choices).toHaveLength(1);
  });
});

describe('the end', () => {
  it('lets answers under way end and takes no others', async () => {
    const model = echoModel({ hold: true });
    const { client, chat, url, stop } = await serveForTest({ models: [model], stopTimeoutMs: 5000 });
    const stream = await client.chat.completions.create({ ...body, stream: true });
    const whole = chat(body);
    await until(() => model.active === 2);
    const stopped = stop();
    await expect(fetch(`${url}/models`)).rejects.toThrow();
    model.release();
    expect(await readAll(stream)).toBe('user: the secret word');
    expect((await whole).status).toBe(200);
    expect(await stopped).toBe(true);
  });

  it('comes after a while all the same, and says so', async () => {
    const model = echoModel({ hold: true });
    const { client, chat, stop, entries } = await serveForTest({ models: [model], stopTimeoutMs: 50 });
    const stream = await client.chat.completions.create({ ...body, stream: true });
    const whole = chat(body);
    await until(() => model.active === 2);
    const [answered, ended] = await Promise.all([
      stop(),
      whole,
      expect(readAll(stream)).rejects.toThrow(/stopping/),
    ]);
    expect(answered).toBe(false);
    expect(ended).toMatchObject({ status: 503, body: { error: { code: 'stopping' } } });
    expect(model.active).toBe(0);
    expect(entries).toHaveLength(2);
  });
});

describe('errors of the model', () => {
  it('are told in the API shape, and those that are none of the client stay in the log', async () => {
    const said: (LlmApiError | Error)[] = [
      new LlmApiError('The template refuses this.', { retryable: false, status: 400 }),
      new LlmApiError('upstream key k-1 was refused', { retryable: true, status: 500 }),
      new Error('a tensor was lost'),
    ];
    const model = echoModel({
      say: () => {
        throw said.shift();
      },
    });
    const { chat, client, errors } = await serveForTest({ models: [model] });
    expect(await chat(body)).toMatchObject({
      ...{ status: 400, body: { error: { message: 'The template refuses this.' } } },
    });
    expect(await chat(body)).toMatchObject({ status: 502, body: { error: { code: 'model_error' } } });
    const stream = await client.chat.completions.create({ ...body, stream: true });
    await expect(readAll(stream)).rejects.toThrow(/its log says why/);
    expect(errors.map((error) => (error as Error).message)).toEqual([
      ...['upstream key k-1 was refused', 'a tensor was lost'],
    ]);
  });
});

it('any chat model can be served', async () => {
  const chatModel = scriptedModel({
    reply: ({ sampling }) => ({
      text: `seed ${sampling?.seed}`,
      finishReason: 'length',
      completionTokens: 2,
    }),
  });
  const { client } = await serveForTest({ models: [servedChatModel(chatModel, { name: 'echo' })] });
  const { choices, usage } = await client.chat.completions.create({ ...body, n: 2, seed: 5, temperature: 1 });
  expect(choices.map(({ message }) => message.content)).toEqual(['seed 5', 'seed 6']);
  expect(choices[0]!.finish_reason).toBe('length');
  expect(usage).toEqual({ prompt_tokens: 1, completion_tokens: 4, total_tokens: 5 });
});

it('the log holds no word of what was said', async () => {
  const { client, entries } = await serveForTest({ models: [echoModel()] });
  await client.chat.completions.create({ ...body, user: 'ann' });
  expect(entries).toHaveLength(1);
  const line = describeEntry(entries[0]!);
  expect(line).toMatch(/^\d{4}-\S+Z POST \/v1\/chat\/completions 200 \d+ ms, echo, 3 \+ 3 tokens$/);
  expect(JSON.stringify(entries)).not.toMatch(/secret|ann/);
});

async function readAll(stream: AsyncIterable<OpenAI.ChatCompletionChunk>): Promise<string> {
  let text = '';
  for await (const { choices } of stream) text += choices[0]?.delta.content ?? '';
  return text;
}
