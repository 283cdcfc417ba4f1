import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.js';
import { Channel } from '../../src/llm/channel.js';
import { resolveChatModelOptions } from '../../src/llm/chat-model-options.js';
import { requestWindows } from '../../src/llm/requests.js';
import { decisiveSampling, resolveSampling } from '../../src/llm/sampling.js';
import { estimateTokens } from '../../src/llm/server/estimate-tokens.js';
import { retryAfterMs } from '../../src/llm/server/retry-after.js';

describe('retry-after', () => {
  const now = Date.parse('Wed, 21 Oct 2015 07:28:00 GMT');
  it.each([
    [{ 'retry-after': '3' }, 3000],
    [{ 'retry-after': ' 0.5 ' }, 500],
    [{ 'retry-after': 'Wed, 21 Oct 2015 07:28:30 GMT' }, 30_000],
    [{ 'retry-after': 'Wed, 21 Oct 2015 07:00:00 GMT' }, 0],
    [{ 'retry-after-ms': '250', 'retry-after': '9' }, 250],
    [{ 'retry-after-ms': 'soon', 'retry-after': '9' }, 9000],
    [{ 'retry-after': 'soon' }, undefined],
    [{ 'retry-after': '-5' }, undefined],
    [{ 'retry-after': '' }, undefined],
    [{}, undefined],
  ])('%j is %s ms', (headers, expected) => {
    expect(retryAfterMs(new Headers(headers as Record<string, string>), now)).toBe(expected);
  });
});

describe('estimated tokens', () => {
  // Counted by the tokenizer of SmolLM2 (49,152 tokens), a small vocabulary.
  it.each([
    ['How long do I boil eggs?', 7],
    ['Antidisestablishmentarianism, floccinaucinihilipilification.', 17],
    ['1234567890 + 42 = 1234567932', 26],
    ['你好，世界。今天天气很好', 24],
    ['  def f(x):\n        return x ** 2\n', 13],
  ])('of %j are no fewer than %i', (text, tokens) => {
    expect(estimateTokens(text)).toBeGreaterThanOrEqual(tokens);
  });

  it('are none for nothing, and never fewer for more text', () => {
    expect(estimateTokens('')).toBe(0);
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (a, b) => {
        expect(estimateTokens(`${a}\n${b}`)).toBeGreaterThanOrEqual(
          Math.max(estimateTokens(a), estimateTokens(b)),
        );
      }),
    );
  });
});

describe('sampling', () => {
  it.each([
    [{ temperature: -1 }, 'temperature'],
    [{ temperature: Number.NaN }, 'temperature'],
    [{ topP: 0 }, 'topP'],
    [{ topK: 1.5 }, 'topK'],
    [{ maxTokens: 0 }, 'maxTokens'],
    [{ seed: -1 }, 'seed'],
    [{ stop: [''] }, 'stop'],
  ])('%j is refused', (sampling, name) => {
    expect(() => resolveSampling(sampling)).toThrow(ConfigError);
    expect(() => resolveSampling(sampling)).toThrow(name);
  });

  it('without temperature does not hang on seed and cuts', () => {
    expect(decisiveSampling({ seed: 3, topP: 0.5 })).toEqual(decisiveSampling({}));
    expect(decisiveSampling({ seed: 3, temperature: 1 })).not.toEqual(decisiveSampling({ temperature: 1 }));
    expect(decisiveSampling({ maxTokens: 3 })).not.toEqual(decisiveSampling({}));
  });
});

describe('windows of requests', () => {
  const sizes = async (requests: AsyncIterable<number> | Iterable<number>, size: number) => {
    const windows: number[][] = [];
    for await (const window of requestWindows(requests, size)) {
      for (const { index, request } of window) expect(index).toBe(request);
      windows.push(window.map(({ request }) => request));
    }
    return windows;
  };

  it('are full but for the last', async () => {
    expect(await sizes([0, 1, 2, 3, 4], 2)).toEqual([[0, 1], [2, 3], [4]]);
    expect(await sizes([], 2)).toEqual([]);
  });

  it('do not wait for a source that waits for them', async () => {
    let answered = () => {};
    async function* source() {
      for (let i = 0; i < 3; i++) {
        const done = new Promise<void>((resolve) => (answered = resolve));
        yield i;
        await done;
      }
    }
    const seen: number[] = [];
    for await (const window of requestWindows(source(), 10)) {
      seen.push(...window.map(({ request }) => request));
      answered();
    }
    expect(seen).toEqual([0, 1, 2]);
  });

  it('end with the signal, also while they wait', async () => {
    const controller = new AbortController();
    async function* never() {
      yield 0;
      await new Promise(() => {});
    }
    const run = async () => {
      for await (const _ of requestWindows(never(), 1, controller.signal))
        controller.abort(new Error('enough'));
    };
    await expect(run()).rejects.toThrow('enough');
  });
});

describe('a channel', () => {
  it('gives what was put in, then the error it ended with', async () => {
    const channel = new Channel<number>(2);
    channel.push(1);
    channel.push(2);
    channel.end({ error: new Error('broken') });
    channel.push(3);
    const seen: number[] = [];
    const run = async () => {
      for await (const value of channel.take()) seen.push(value);
    };
    await expect(run()).rejects.toThrow('broken');
    expect(seen).toEqual([1, 2]);
  });

  it('makes who puts wait until there is room, or nobody takes any more', async () => {
    const channel = new Channel<number>(2);
    await channel.put(1);
    let put = 0;
    const putting = (async () => {
      for (let i = 2; i < 9; i++) {
        await channel.put(i);
        put++;
      }
    })();
    await new Promise(setImmediate);
    expect(put).toBe(0);
    for await (const value of channel.take()) if (value === 3) break;
    await putting;
    expect(put).toBe(7);
  });
});

describe('options of a chat model', () => {
  const server = { kind: 'server' as const, baseUrl: 'https://api.example/v1', model: 'm' };

  it('get their defaults, and resolve to themselves', () => {
    const local = resolveChatModelOptions({ kind: 'local', model: 'owner/name' });
    expect(local).toMatchObject({ kind: 'local', adapter: null, dtype: 'bfloat16', batchSize: 32 });
    const remote = resolveChatModelOptions({ ...server, baseUrl: 'https://api.example/v1/' });
    expect(remote).toMatchObject({ baseUrl: 'https://api.example/v1', apiKeyVariable: 'OPENAI_API_KEY' });
    for (const options of [local, remote]) expect(resolveChatModelOptions(options)).toEqual(options);
  });

  it.each<[string, object, RegExp]>([
    ['no kind', { model: 'm' }, /kind/],
    ['another kind', { kind: 'cloud', model: 'm' }, /kind/],
    ['no model', { kind: 'local' }, /model/],
    ['an unknown key', { ...server, concurency: 3 }, /concurency/],
    ['no address', { ...server, baseUrl: 'localhost' }, /baseUrl: expected an address/],
    ['another protocol', { ...server, baseUrl: 'ftp://x/v1' }, /expected http or https/],
    ['a query', { ...server, baseUrl: 'https://x/v1?a=b' }, /must end with its path/],
    [
      'the whole endpoint',
      { ...server, baseUrl: 'https://x/v1/chat/completions' },
      /without \/chat\/completions/,
    ],
    ['a key for its name', { ...server, apiKeyVariable: 'sk-123' }, /the name of an environment variable/],
    ['a limit without prices', { ...server, maxCost: 1 }, /maxCost: needs pricePerMillion/],
    ['a field of its own', { ...server, extraBody: { temperature: 1 } }, /extraBody: temperature is set/],
  ])('are refused with %s', (_name, options, message) => {
    expect(() => resolveChatModelOptions(options as never)).toThrow(ConfigError);
    expect(() => resolveChatModelOptions(options as never)).toThrow(message);
  });

  it('do not repeat a password in an address', () => {
    const baseUrl = 'https://user:hunter2@x.example/v1';
    const run = () => resolveChatModelOptions({ ...server, baseUrl });
    expect(run).toThrow(/must not hold a user name or password/);
    expect(run).not.toThrow(/hunter2/);
  });
});
