/** Labels scored by servers as vLLM, llama.cpp and OpenAI answer, and by those that cannot. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigError, LlmApiError } from '../../src/errors.js';
import { writeTinyModel } from '../support/tiny-model.js';
import { ask, type Behaviour, collect, sendError, sendJson, sendReply } from './fake-server.js';
import { fakeServerModels } from './fake-server-models.js';

const { setup } = fakeServerModels();

const likeliest = (tokens: Record<string, number>): Behaviour => {
  const top_logprobs = Object.entries(tokens).map(([token, p]) => ({
    token,
    logprob: Math.log(p),
    bytes: null,
  }));
  return (_, response) =>
    sendJson(response, 200, {
      choices: [
        {
          message: { role: 'assistant', content: 'A' },
          finish_reason: 'length',
          logprobs: { content: [{ token: 'A', logprob: -1, top_logprobs }] },
        },
      ],
      usage: { prompt_tokens: 20, completion_tokens: 1 },
    });
};

const question = (labels: string[]) =>
  ask('which?', { labels }) as ReturnType<typeof ask> & { labels: string[] };

describe('labels that differ in their first character', () => {
  it('are scored by the first token of one reply', async () => {
    const { server, model } = await setup(likeliest({ B: 0.5, A: 0.25, the: 0.1, ' C': 0.06 }));
    const [outcome] = await collect(model.scoreLabels([question(['A', 'B', 'C'])]));
    const { logprobs, tokens, cached } = outcome!.reply!;
    expect(logprobs.map(Math.exp)).toEqual([0.25, 0.5, 0.06].map((p) => expect.closeTo(p, 10)));
    expect([tokens, cached]).toEqual([[1, 1, 1], false]);
    expect(server.asked).toHaveLength(1);
    expect(server.asked[0]!.body).toEqual({
      ...{ model: 'tiny', messages: [{ role: 'user', content: 'which?' }] },
      ...{ temperature: 1, max_tokens: 1, logprobs: true, top_logprobs: 20 },
    });
    expect(model.usage()).toMatchObject({ requests: 1, promptTokens: 20, completionTokens: 1 });
  });

  it('get their longest beginning among the likeliest, with and without a space', async () => {
    const { model } = await setup(
      likeliest({ p: 0.2, positive: 0.3, ' positive': 0.1, posit: 0.1, n: 0.2, '': 0.05 }),
    );
    const [outcome] = await collect(model.scoreLabels([question(['positive', 'negative'])]));
    expect(outcome!.reply!.logprobs.map(Math.exp)).toEqual([
      expect.closeTo(0.4, 10),
      expect.closeTo(0.2, 10),
    ]);
  });

  it('get their own first token where the tokenizer is known', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-labels-'));
    writeTinyModel(folder);
    // The tiny tokenizer has a token for "he" and none for "hello".
    const { model } = await setup(likeliest({ hello: 0.3, he: 0.2, h: 0.1, x: 0.25, xy: 0.05 }), {
      tokenizer: folder,
    });
    const [outcome] = await collect(model.scoreLabels([question(['hello', 'xyz'])]));
    expect(outcome!.reply!.logprobs.map(Math.exp)).toEqual([
      expect.closeTo(0.2, 10),
      expect.closeTo(0.25, 10),
    ]);
    rmSync(folder, { recursive: true });
  });

  it('that are not among the likeliest get the most they can have', async () => {
    const { model } = await setup(likeliest({ A: 0.98, x: 0.015 }));
    const [outcome] = await collect(model.scoreLabels([question(['A', 'B'])]));
    expect(Math.exp(outcome!.reply!.logprobs[1]!)).toBeCloseTo(0.005, 10);
    const other = await setup(likeliest({ A: 0.5, x: 0.001 }));
    const [least] = await collect(other.model.scoreLabels([question(['A', 'B'])]));
    expect(Math.exp(least!.reply!.logprobs[1]!)).toBeCloseTo(0.001, 10);
  });

  it('none of which is among the likeliest are an error of the request', async () => {
    const { model } = await setup(likeliest({ the: 0.9 }));
    const [outcome] = await collect(model.scoreLabels([question(['A', 'B'])]));
    expect(outcome!.error).toBeInstanceOf(LlmApiError);
    expect(outcome!.error!.message).toMatch(/Request which\?: none of the labels \["A","B"\]/);
    expect(model.usage()).toMatchObject({ failed: 1, promptTokens: 20 });
  });
});

describe('labels that begin alike', () => {
  const LABELS = ['[[yes]]', '[[yes, but]]'];
  /** As vLLM: the prompt's tokens with their log-probabilities, the first without. */
  const vllm =
    (tokensOf: (label: string) => [string, number][]): Behaviour =>
    ({ body }, response) => {
      const label = body.messages!.at(-1)!.content;
      const tokens: [string, number][] = [['<s>', 0], ['which', -1], ['?\n', -2], ...tokensOf(label)];
      sendJson(response, 200, {
        choices: [{ message: { role: 'assistant', content: '.' }, finish_reason: 'length', logprobs: null }],
        usage: { prompt_tokens: tokens.length, completion_tokens: 1 },
        prompt_logprobs: tokens.map(([decoded_token, logprob], i) =>
          i === 0 ? null : { [String(100 + i)]: { logprob, rank: 3, decoded_token } },
        ),
      });
    };

  it('are scored as given replies, one request each', async () => {
    const { server, model } = await setup(
      vllm((label) =>
        label.includes('but')
          ? [
              ['[[', -0.5],
              ['yes', -1],
              [', but', -3],
              [']]', -0.1],
            ]
          : [
              ['[[', -0.5],
              ['yes]]', -2],
            ],
      ),
    );
    const [outcome] = await collect(model.scoreLabels([question(LABELS)]));
    expect(outcome!.reply).toEqual({
      logprobs: [expect.closeTo(-2.5, 10), expect.closeTo(-4.6, 10)],
      ...{ tokens: [2, 4], cached: false },
    });
    expect(server.asked.map(({ body }) => body)).toEqual(
      LABELS.map((content) => ({
        model: 'tiny',
        messages: [
          { role: 'user', content: 'which?' },
          { role: 'assistant', content },
        ],
        ...{ temperature: 1, max_tokens: 1, prompt_logprobs: 0 },
        ...{ add_generation_prompt: false, continue_final_message: true },
      })),
    );
    expect(model.usage()).toMatchObject({ requests: 1, promptTokens: 5 + 7, completionTokens: 2 });
  });

  it('whose tokens run into the prompt cannot be scored', async () => {
    const { model } = await setup(
      vllm(() => [
        ['\n[[yes', -0.5],
        [']]', -2],
      ]),
    );
    await expect(collect(model.scoreLabels([question(LABELS)]))).rejects.toThrow(
      /not at the end of the prompt/,
    );
  });
});

describe('a server that cannot score labels', () => {
  it.each<[string, string[], Behaviour]>([
    ['gives no log-probabilities', ['A', 'B'], sendReply],
    ['refuses to', ['A', 'B'], (_, r) => sendError(r, 400, 'logprobs is not supported')],
    ['gives none of given replies', ['[[a]]', '[[b]]'], sendReply],
    ['refuses those', ['[[a]]', '[[b]]'], (_, r) => sendError(r, 422, 'extra field prompt_logprobs')],
  ])('(it %s) is told with what to do instead', async (_name, labels, behave) => {
    const { model } = await setup(behave);
    const run = collect(model.scoreLabels([question(labels), question(labels)]));
    await expect(run).rejects.toThrow(ConfigError);
    await expect(collect(model.scoreLabels([question(labels)]))).rejects.toThrow(/classify in words instead/);
  });
});

describe('labels', () => {
  it.each([
    ['none', []],
    ['an empty one', ['a', '']],
    ['one twice', ['a', 'a']],
  ])('must not be %s', async (_name, labels) => {
    const { server, model } = await setup(sendReply);
    await expect(collect(model.scoreLabels([question(labels)]))).rejects.toThrow(ConfigError);
    expect(server.asked).toHaveLength(0);
  });
});
