/** A server that does not behave: what is tried again, what is told of one request, what ends everything. */

import type { ServerResponse } from 'node:http';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { ConfigError, LlmApiError } from '../../src/errors.js';
import { createServerChatModel } from '../../src/llm/server/server-chat-model.js';
import {
  type Asked,
  ask,
  type Behaviour,
  collect,
  type FakeServer,
  sendError,
  sendEvent,
  sendJson,
  sendPiece,
  sendReply,
  serverOptions,
  startFakeServer,
  startStream,
} from './fake-server.js';
import { fakeServerModels } from './fake-server-models.js';

const { open, setup } = fakeServerModels();

/** Misbehaves the first `times` times, then answers. */
const first =
  (times: number, badly: Behaviour): Behaviour =>
  (asked, response) =>
    asked.nth < times ? badly(asked, response) : sendReply(asked, response);

async function fatalOf(outcomes: AsyncIterable<unknown>): Promise<LlmApiError> {
  try {
    for await (const _ of outcomes);
  } catch (error) {
    expect(error).toBeInstanceOf(LlmApiError);
    return error as LlmApiError;
  }
  throw new Error('nothing was thrown');
}

const HTML = '<html><body><h1>502 Bad Gateway</h1></body></html>';

/** Ways to break a reply, each of which a further try may mend. */
const BREAKAGES: Record<string, { stream: boolean; badly: Behaviour; says: RegExp }> = {
  'status 500': { stream: true, badly: (_, r) => sendError(r, 500, 'boom'), says: /500: boom/ },
  'status 503 in HTML': {
    stream: true,
    badly: (_, r) => r.writeHead(503, { 'content-type': 'text/html' }).end(HTML),
    says: /503: 502 Bad Gateway/,
  },
  'status 429': { stream: true, badly: (_, r) => sendError(r, 429, 'slowly'), says: /429: slowly/ },
  'status 408': { stream: true, badly: (_, r) => sendError(r, 408), says: /408/ },
  'status 409': { stream: true, badly: (_, r) => sendError(r, 409), says: /409/ },
  'status 500 without a body': {
    stream: true,
    badly: (_, r) => r.writeHead(500).end(),
    says: /answered 500/,
  },
  'half a body': {
    stream: false,
    badly: (_, r) => {
      r.writeHead(200, { 'content-type': 'application/json', 'content-length': '900' });
      r.write('{"choices": [{"message": {"content": "hal');
      setTimeout(() => r.destroy(), 5);
    },
    says: /aborted|ECONNRESET|terminated/,
  },
  'JSON that ends in the middle': {
    stream: false,
    badly: (_, r) => r.writeHead(200, { 'content-type': 'application/json' }).end('{"choices": [{"mess'),
    says: /not JSON/,
  },
  'HTML with status 200': {
    stream: false,
    badly: (_, r) => r.writeHead(200, { 'content-type': 'text/html' }).end(HTML),
    says: /not that of an OpenAI-compatible server.*<html>/,
  },
  'HTML in place of a stream': {
    stream: true,
    badly: (_, r) => r.writeHead(200, { 'content-type': 'text/html' }).end(HTML),
    says: /ended in the middle/,
  },
  'a reply without choices': {
    stream: false,
    badly: (_, r) => sendJson(r, 200, { object: 'chat.completion' }),
    says: /at choices/,
  },
  'a reply with a number for text': {
    stream: false,
    badly: (_, r) => sendJson(r, 200, { choices: [{ message: { content: 5 }, finish_reason: 'stop' }] }),
    says: /choices.0.message.content/,
  },
  'no choices at all': { stream: false, badly: (_, r) => sendJson(r, 200, { choices: [] }), says: /choices/ },
  null: { stream: false, badly: (_, r) => sendJson(r, 200, null), says: /OpenAI-compatible/ },
  'a reply that ended for an unknown reason': {
    stream: true,
    badly: (asked, r) => sendReply(asked, r, { finishReason: 'abort' }),
    says: /not known: abort/,
  },
  'a stream cut by the connection': {
    stream: true,
    badly: (_, r) => {
      startStream(r);
      sendPiece(r, { content: 'half a ' });
      setTimeout(() => r.destroy(), 5);
    },
    says: /aborted|ECONNRESET|terminated/,
  },
  'a stream that ends without a reason': {
    stream: true,
    badly: (_, r) => {
      startStream(r);
      sendPiece(r, { content: 'half a ' });
      r.end();
    },
    says: /ended in the middle, after 7 characters/,
  },
  'a stream with an error in it': {
    stream: true,
    badly: (_, r) => {
      startStream(r);
      sendPiece(r, { content: 'half a ' });
      sendEvent(r, { error: { message: 'out of memory' } });
      r.end();
    },
    says: /broke off: out of memory/,
  },
  'a stream with garbage in it': {
    stream: true,
    badly: (_, r) => {
      startStream(r);
      r.end('data: {nonsense\n\n');
    },
    says: /not JSON/,
  },
  'a stream of something else': {
    stream: true,
    badly: (_, r) => {
      startStream(r);
      sendEvent(r, { choices: 'none' });
      r.end();
    },
    says: /in a part of the stream/,
  },
  'no answer': { stream: true, badly: () => {}, says: /nothing came for 400 ms/ },
  'a stream that stalls': {
    stream: true,
    badly: (_, r) => {
      startStream(r);
      sendPiece(r, { content: 'half a ' });
    },
    says: /nothing came for 400 ms/,
  },
  'a stream that never ends': {
    stream: true,
    badly: (_, r) => {
      startStream(r);
      const timer = setInterval(() => sendPiece(r, { content: 'on and ' }), 50);
      r.on('close', () => clearInterval(timer));
    },
    says: /not complete within 900 ms/,
  },
  'a connection that is closed at once': {
    stream: true,
    badly: (_, r) => r.destroy(),
    says: /socket hang up|ECONNRESET/,
  },
};
const TIMES = { stallTimeoutMs: 400, timeoutMs: 900 };
/** Short limits only where they are the point: on a busy machine anything may take long. */
const timesFor = (says: RegExp) => (/nothing came|complete within/.test(says.source) ? TIMES : {});

describe.each(Object.entries(BREAKAGES))('%s', (_name, { stream, badly, says }) => {
  it('is tried again', async () => {
    const { server, model } = await setup(first(2, badly), { stream, maxRetries: 9, ...timesFor(says) });
    const [outcome] = await collect(model.generate([ask('hello')]));
    expect(outcome!.reply).toMatchObject({ text: 'echo hello', cached: false });
    expect(server.asked.length).toBeGreaterThanOrEqual(3);
    expect(model.usage()).toMatchObject({ requests: 1, failed: 0 });
  });

  it('is told of the request alone, when all tries are used up', async () => {
    const { server, model } = await setup(
      (asked, response) => {
        if (asked.body.messages?.[0]?.content === 'bad') return badly(asked, response);
        return sendReply(asked, response);
      },
      { stream, maxRetries: 2, ...timesFor(says), maxConnectionFailures: 100 },
    );
    // Something else is answered all the time, so that the server is known to be there.
    const fine = Array.from({ length: 6 }, (_, i) => ask(`fine${i}`));
    const outcomes = await collect(model.generate([ask('bad'), ...fine]));
    const [bad, ...rest] = outcomes;
    expect(bad!.error).toBeInstanceOf(LlmApiError);
    expect(bad!.error).toMatchObject({ code: 'LLM_API', retryable: true, details: { tries: 3 } });
    expect(bad!.error!.message).toMatch(/^Request bad failed \(3 tries\): /);
    expect(bad!.error!.message).toMatch(says);
    expect(rest.filter(({ reply }) => reply !== undefined)).toHaveLength(6);
    expect(server.prompts().filter((prompt) => prompt === 'bad')).toHaveLength(3);
    expect(model.usage()).toMatchObject({ requests: 7, failed: 1 });
  });
});

describe('a server that asks to wait', () => {
  const waiting: Record<string, () => Record<string, string>> = {
    'retry-after in seconds': () => ({ 'retry-after': '0.2' }),
    'retry-after-ms': () => ({ 'retry-after-ms': '200', 'retry-after': '9' }),
    'retry-after as a date': () => ({ 'retry-after': new Date(Date.now() + 1500).toUTCString() }),
  };
  it.each(Object.entries(waiting))(
    'by %s is left alone for so long, by all requests',
    async (_name, headers) => {
      const { server, model } = await setup(
        first(1, (_, response) => sendError(response, 429, 'slowly', headers())),
        { concurrency: 2 },
      );
      const begun = Date.now();
      const outcomes = await collect(model.generate([ask('a'), ask('b'), ask('c'), ask('d')]));
      expect(outcomes.every(({ reply }) => reply !== undefined)).toBe(true);
      // Of the two that were sent at once, one was answered or not; none other was sent before.
      expect(server.asked.filter(({ at }) => at < begun + 150).length).toBeLessThanOrEqual(3);
      expect(Date.now() - begun).toBeGreaterThan(190);
    },
  );

  it('for longer than is allowed ends the run', async () => {
    const { model } = await setup(
      (_, response) => sendError(response, 429, 'tomorrow', { 'retry-after': '86400' }),
      { maxRetryAfterMs: 60_000 },
    );
    const error = await fatalOf(model.generate([ask('a')]));
    expect(error.message).toMatch(/no further request for 86400 s, longer than maxRetryAfterMs/);
  });
});

describe('a request that is refused', () => {
  it.each([
    [400, { error: { message: 'bad role' } }, 'bad role'],
    [413, { message: 'too large', object: 'error' }, 'too large'],
    [422, { detail: [{ loc: ['body', 'stop'], msg: 'too many' }] }, 'too many'],
    [451, { error: 'not here' }, 'not here'],
  ])('with %i is not tried again, and the others go on', async (status, body, says) => {
    const { server, model } = await setup((asked, response) => {
      if (asked.body.messages?.[0]?.content === 'bad') sendJson(response, status, body);
      else sendReply(asked, response);
    });
    const [bad, good] = await collect(model.generate([ask('bad'), ask('good')]));
    expect(bad!.error).toMatchObject({ status, retryable: false });
    expect(bad!.error!.message).toContain(says);
    expect(bad!.error!.body).toContain(says);
    expect(good!.reply!.text).toBe('echo good');
    expect(server.asked).toHaveLength(2);
  });

  it('like all before it ends the run: the fault is not the requests', async () => {
    const { server, model } = await setup((_, response) =>
      sendError(response, 400, 'unknown field temperature'),
    );
    const requests = Array.from({ length: 100 }, (_, i) => ask(`q${i}`));
    const error = await fatalOf(model.generate(requests));
    expect(error.message).toMatch(/none of the first 10 requests.*unknown field temperature/);
    expect(server.asked.length).toBeLessThan(30);
  });
});

describe('a server that cannot be used', () => {
  it.each([
    [
      401,
      'invalid key',
      /cannot be used: the server answered 401: invalid key \(no key was sent: set OPENAI_API_KEY\)/,
    ],
    [403, 'not you', /403: not you/],
    [404, 'no such model', /404: no such model \(does the base URL end in \/v1/],
    [402, 'pay first', /402: pay first/],
  ])('(%i) is told at once', async (status, said, message) => {
    const { server, model } = await setup((_, response) => sendError(response, status, said));
    const error = await fatalOf(model.generate([ask('a')]));
    expect(error.message).toMatch(message);
    expect(error).toMatchObject({ status, retryable: false });
    expect(server.asked).toHaveLength(1);
  });

  it('for want of money is not asked again', async () => {
    const { server, model } = await setup((_, response) =>
      sendJson(response, 429, { error: { message: 'You exceeded your quota', code: 'insufficient_quota' } }),
    );
    expect((await fatalOf(model.generate([ask('a')]))).message).toContain('quota');
    expect(server.asked).toHaveLength(1);
  });

  it('because it moved says where to', async () => {
    const { model } = await setup((_, response) => {
      response.writeHead(301, { location: 'https://elsewhere.example/v1' }).end();
    });
    const error = await fatalOf(model.generate([ask('a')]));
    expect(error.message).toContain('a redirect to https://elsewhere.example/v1; give the final address');
  });

  it('for nobody is there', async () => {
    const { server, model } = await setup(sendReply);
    await server.close();
    const error = await fatalOf(model.generate([ask('a')]));
    expect(error.message).toMatch(/cannot be reached \(4 tries\): .*ECONNREFUSED/);
  });

  it('is told at the first question, within a few tries', async () => {
    const server = await startFakeServer(sendReply);
    await server.close();
    const opening = createServerChatModel(serverOptions(server, { contextTokens: null }));
    await expect(opening).rejects.toThrow(/cannot be reached \(3 tries\)/);
  });

  it('has vanished while requests were under way: none of them is given up', async () => {
    const { server, model } = await setup(
      async (asked, response) => {
        if (asked.nth < 2) sendReply(asked, response);
        else if (asked.nth === 3) await server.close();
      },
      { concurrency: 2, maxRetries: 2 },
    );
    const seen: string[] = [];
    const run = async () => {
      for await (const { id } of model.generate(Array.from({ length: 9 }, (_, i) => ask(`q${i}`))))
        seen.push(id);
    };
    await expect(run()).rejects.toThrow(/cannot be reached \(3 tries\)/);
    expect(seen.sort()).toEqual(['q0', 'q1']);
  });

  it('has vanished for good: everything ends, after so many tries in a row', async () => {
    let vanished = false;
    const { server, model } = await setup(
      async (asked, response) => {
        if (asked.nth < 4) sendReply(asked, response);
        else vanished = true;
        if (vanished) response.destroy();
      },
      { concurrency: 4, maxRetries: 50, maxConnectionFailures: 12 },
    );
    const seen: string[] = [];
    const run = async () => {
      for await (const { id } of model.generate(Array.from({ length: 50 }, (_, i) => ask(`q${i}`))))
        seen.push(id);
    };
    await expect(run()).rejects.toThrow(/does not answer any more \(12 tries\)/);
    expect(seen).toHaveLength(4);
    expect(server.asked.length).toBeLessThanOrEqual(4 + 12 + 4);
  });
});

describe('stopping', () => {
  const hanging: Behaviour = (asked, response) => {
    if (asked.nth === 0) sendReply(asked, response);
  };
  const noSockets = (server: FakeServer) => expect.poll(() => server.sockets.size).toBe(0);

  it('by signal throws its reason and closes every connection', async () => {
    const { server, model } = await setup(hanging, { concurrency: 3 });
    const controller = new AbortController();
    const seen: string[] = [];
    const run = async () => {
      const requests = Array.from({ length: 9 }, (_, i) => ask(`q${i}`));
      for await (const { id } of model.generate(requests, { signal: controller.signal })) {
        seen.push(id);
        controller.abort(new Error('enough'));
      }
    };
    await expect(run()).rejects.toThrow('enough');
    expect(seen).toEqual(['q0']);
    await model.dispose();
    await noSockets(server);
  });

  it('while waiting to try again does not wait', async () => {
    const { model } = await setup((_, response) => sendError(response, 503), { retryDelayMs: 60_000 });
    const controller = new AbortController();
    const run = collect(model.generate([ask('a')], { signal: controller.signal }));
    setTimeout(() => controller.abort(new Error('enough')), 50);
    await expect(run).rejects.toThrow('enough');
  });

  it('while the server wants to be left alone does not wait', async () => {
    const { model } = await setup((_, response) =>
      sendError(response, 429, 'later', { 'retry-after': '200' }),
    );
    const controller = new AbortController();
    const run = collect(model.generate([ask('a')], { signal: controller.signal }));
    setTimeout(() => controller.abort(new Error('enough')), 50);
    await expect(run).rejects.toThrow('enough');
  });

  it('by leaving the loop ends what is under way', async () => {
    const { server, model } = await setup(hanging, { concurrency: 3 });
    for await (const { id } of model.generate([ask('a'), ask('b'), ask('c')])) {
      expect(id).toBe('a');
      break;
    }
    await model.dispose();
    await noSockets(server);
  });

  it('before the beginning asks nothing', async () => {
    const { server, model } = await setup(sendReply);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(collect(model.generate([ask('a')], { signal }))).rejects.toThrow('enough');
    expect(server.asked).toHaveLength(0);
  });

  it('comes of an error of the source of requests, too', async () => {
    const { model } = await setup(sendReply);
    async function* requests() {
      yield ask('a');
      throw new Error('the source is broken');
    }
    await expect(collect(model.generate(requests()))).rejects.toThrow('the source is broken');
  });
});

describe('the key', () => {
  const KEY = 'sk-very-secret-"key"+1';
  const everything = (error: unknown) =>
    [
      inspect(error, { depth: 20, showHidden: true }),
      JSON.stringify(error),
      String((error as Error).message),
      String((error as Error).stack),
      JSON.stringify((error as LlmApiError).details),
    ].join('\n');
  const shown = [KEY, JSON.stringify(KEY).slice(1, -1), encodeURIComponent(KEY)];
  const expectHidden = (error: unknown) => {
    for (const form of shown) expect(everything(error)).not.toContain(form);
  };

  const echoing: Record<string, (asked: Asked, response: ServerResponse) => unknown> = {
    'in an error of the whole server': ({ headers }, r) =>
      sendError(r, 401, `Wrong key: ${headers.authorization}`),
    'in an error of a request': ({ headers }, r) => sendError(r, 400, `Wrong: ${headers.authorization}`),
    'in plain text': ({ headers }, r) => r.writeHead(500).end(`${headers.authorization}`),
    'in a redirect': (_, r) =>
      r.writeHead(302, { location: `https://x.example/?k=${encodeURIComponent(KEY)}` }).end(),
    'in garbage': ({ headers }, r) => sendJson(r, 200, { you: headers.authorization }),
    'in a stream': ({ headers }, r) => {
      startStream(r);
      sendEvent(r, { error: { message: `Wrong: ${headers.authorization}` } });
      r.end();
    },
    'in broken JSON': ({ headers }, r) =>
      r.writeHead(200, { 'content-type': 'application/json' }).end(`${headers.authorization}`),
    'nowhere, and closes': (_, r) => r.destroy(),
  };
  it.each(Object.entries(echoing))('is in no error of a server that repeats it %s', async (_name, badly) => {
    for (const stream of [true, false]) {
      const { model } = await setup(badly, { maxRetries: 0, stream }, KEY);
      const outcomes = await collect(model.generate([ask('a')])).catch((error: unknown) => [{ error }]);
      expect(outcomes[0]!.error).toBeInstanceOf(LlmApiError);
      expectHidden(outcomes[0]!.error);
      expectHidden(model);
    }
  });

  it.each(['sk-with space', 'sk-line\nbreak', 'sk-ümlaut'])(
    'that cannot be sent is not shown: %s',
    async (key) => {
      const server = await startFakeServer(sendReply);
      open.push(server);
      const error = await createServerChatModel(serverOptions(server), { apiKey: key }).catch(
        (e: unknown) => e,
      );
      expect(error).toBeInstanceOf(ConfigError);
      expect((error as ConfigError).message).toContain('The key in OPENAI_API_KEY cannot be sent');
      expect(everything(error)).not.toContain(key);
    },
  );

  it('does not go over plain http to another machine, unless it is allowed', async () => {
    const options = { baseUrl: 'http://gpu.example:8000/v1' };
    const create = (rest: object, apiKey?: string) =>
      createServerChatModel(serverOptions({ url: '' }, { ...options, ...rest }), { apiKey });
    await expect(create({}, KEY)).rejects.toThrow(/over plain http/);
    await expect(create({ allowKeyOverHttp: true }, KEY)).resolves.toBeDefined();
    await expect(create({ apiKeyVariable: null }, KEY)).resolves.toBeDefined();
    await expect(create({})).resolves.toBeDefined();
  });
});
