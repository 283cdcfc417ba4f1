import { describe, expect, it } from 'vitest';
import type { SplitConversation } from '../../../src/data/conversation.js';
import { ConfigError } from '../../../src/errors.js';
import { type ClassifySettings, classifyMessages } from '../../../src/pairs/classify/classify-messages.js';
import { createClassificationTemplate } from '../../../src/pairs/prompts/classification.js';
import { said } from '../support/classified-conversations.js';
import { all, conversation, watchedContext } from '../support/conversations.js';
import { refusedRequest, scriptedModel, textOf } from '../support/scripted-model.js';

/** A prompt that is only the two requests, so that tests see what was asked. */
const PLAIN = createClassificationTemplate('{{ previous }} -> {{ current }}');

/** Says what the current request is: `x!` a change, `x again` again, `thanks` thanks, else other. */
const reader = () =>
  scriptedModel({
    reply: (request) => {
      const current = textOf(request).split(' -> ')[1] ?? '';
      if (current.endsWith('!')) return 'Change';
      if (current.endsWith('again')) return 'Again';
      return current === 'thanks' ? '[[Thanks]]' : 'Other';
    },
  });

async function classify(
  conversations: readonly SplitConversation[],
  settings: Partial<ClassifySettings> = {},
  context = watchedContext('user messages'),
) {
  const model = settings.model ?? reader();
  const rows = await all(classifyMessages(conversations, { template: PLAIN, ...settings, model }, context));
  return { rows, context };
}

const types = ({ rows }: Awaited<ReturnType<typeof classify>>) => rows.map(({ type }) => type);

describe('classifyMessages', () => {
  it('takes the first message as the initial request and asks about the others', async () => {
    const model = reader();
    const { rows, context } = await classify([said('c', ['hi', 'a poem', 'longer!', 'again', 'thanks'])], {
      model,
    });
    expect(rows).toEqual([
      { conversation: 'c', user: 'ada', turn: 0, number: 1, characters: 2, type: 'initial-request' },
      {
        conversation: 'c',
        user: 'ada',
        turn: 2,
        number: 2,
        characters: 6,
        type: 'new-request',
        reply: 'Other',
      },
      expect.objectContaining({ turn: 4, number: 3, type: 're-attempt-with-feedback', reply: 'Change' }),
      expect.objectContaining({ turn: 6, number: 4, type: 're-attempt-without-feedback' }),
      expect.objectContaining({ turn: 8, number: 5, type: 'positive-feedback', reply: '[[Thanks]]' }),
    ]);
    expect(model.asked.map(textOf)).toEqual([
      'hi -> a poem',
      'a poem -> longer!',
      'longer! -> again',
      'again -> thanks',
    ]);
    expect(model.asked.map(({ id, owner }) => [id, owner])).toEqual([
      ['c:2', 'ada'],
      ['c:4', 'ada'],
      ['c:6', 'ada'],
      ['c:8', 'ada'],
    ]);
    expect(context.tally.counts()).toEqual({ unit: 'user messages', in: 5, out: 5, dropped: {} });
    expect(context.progress.map(({ done }) => done)).toEqual([1, 2, 3, 4, 5]);
  });

  it('shows the model no answer and nothing of another conversation', async () => {
    const model = reader();
    await classify([said('a', ['one', 'two']), said('b', ['three', 'four'])], { model });
    expect(model.asked.map(textOf)).toEqual(['one -> two', 'three -> four']);
  });

  it('needs no answer between two requests, nor a request before the first answer', async () => {
    const model = reader();
    const lines = ['s: be kind', 'a: hello', 'u: one', 'u: two!', 'a: x', 'a: y', 'u: three'];
    const { rows } = await classify([conversation('c', lines)], { model });
    expect(rows.map(({ turn, type }) => [turn, type])).toEqual([
      [2, 'initial-request'],
      [3, 're-attempt-with-feedback'],
      [6, 'new-request'],
    ]);
    expect(model.asked.map(textOf)).toEqual(['one -> two!', 'two! -> three']);
  });

  it('leaves empty messages unclassified and compares with the one before them', async () => {
    const model = reader();
    const context = watchedContext();
    const result = await classify([said('c', [' ', 'one', '', 'two!'])], { model }, context);
    expect(types(result)).toEqual([
      'unclassified',
      'initial-request',
      'unclassified',
      're-attempt-with-feedback',
    ]);
    expect(result.rows[0]?.problem).toBe('the message is empty');
    expect(model.asked.map(textOf)).toEqual(['one -> two!']);
    expect(context.tally.counts()).toEqual({
      ...{ unit: 'rows', in: 4, out: 4, dropped: {} },
      noted: { unclassified: 2 },
    });
  });

  it('asks nothing about exact repeats, unless it is told to', async () => {
    const repeats = [said('c', ['A poem about rain', 'a  poem\nabout rain!!', 'a poem about snow'])];
    const model = reader();
    const context = watchedContext();
    expect(types(await classify(repeats, { model }, context))).toEqual([
      'initial-request',
      're-attempt-without-feedback',
      'new-request',
    ]);
    expect(model.asked).toHaveLength(1);
    expect(context.tally.counts().noted).toEqual({ 'exact-repeats': 1 });
    const asking = reader();
    await classify(repeats, { model: asking, shortcutRepeats: false });
    expect(asking.asked).toHaveLength(2);
  });

  it('tells formulas that differ in a sign apart', async () => {
    const model = reader();
    await classify([said('c', ['solve x + 5 = 0', 'solve x - 5 = 0'])], { model });
    expect(model.asked).toHaveLength(1);
  });

  it('leaves a message unclassified after two replies without verdict, with problem and reply', async () => {
    const model = scriptedModel({ reply: ({ id }) => (id === 'c:2' ? 'Well, it depends.' : 'Other') });
    const context = watchedContext();
    const { rows } = await classify([said('c', ['a', 'b', 'd'])], { model }, context);
    expect(rows[1]).toMatchObject({
      type: 'unclassified',
      problem: 'no verdict in "Well, it depends."',
      reply: 'Well, it depends.',
    });
    expect(rows[2]?.type).toBe('new-request');
    expect(model.asked.map(({ id }) => id)).toEqual(['c:2', 'c:4', 'c:2']);
    expect(context.tally.counts()).toMatchObject({ in: 3, out: 3, noted: { unclassified: 1 } });
    expect(context.notices).toEqual([
      '1 of 3 user messages have no verdict; their rows say why ("problem").',
    ]);
  });

  it('leaves a message unclassified whose request failed, and goes on', async () => {
    const model = scriptedModel({
      reply: ({ id }) => (id === 'c:2' ? refusedRequest('no such thing') : 'Other'),
    });
    const { rows } = await classify([said('c', ['a', 'b', 'd'])], { model });
    expect(rows.map(({ type, problem }) => problem ?? type)).toEqual([
      'initial-request',
      'no such thing',
      'new-request',
    ]);
  });

  it('shortens long requests in the middle, each to its share', async () => {
    const model = reader();
    const long = Array.from({ length: 5000 }, (_, index) => `w${index}`).join(' ');
    await classify([said('c', [long, `${long} longer!`])], { model, maxMessageTokens: 60 });
    const text = model.asked.map(textOf).join();
    expect(text.split(/\s+/).length).toBeLessThanOrEqual(2 * 60 + 1);
    expect(text).toMatch(/^w0 w1 .*characters left out.* w4999 -> w0 .* longer!$/);
  });

  it('shortens further where the context is small, and says when it is too small', async () => {
    const long = 'word '.repeat(500);
    const small = Object.assign(reader(), { contextTokens: 512 });
    await classify([said('c', [`${long}one`, `${long}two`])], { model: small, maxReplyTokens: 8 });
    expect(small.asked.map(textOf).join().split(/\s+/).length).toBeLessThan(200);
    const tiny = Object.assign(reader(), { contextTokens: 300 });
    const failing = classify([said('c', ['a', 'b'])], { model: tiny });
    await expect(failing).rejects.toThrow(ConfigError);
    await expect(failing).rejects.toThrow(/context of scripted is too small/);
  });

  it('by likelihood takes the label that gains most over the calibration', async () => {
    const model = scriptedModel({
      score: (request) => (/-> [bd]$/.test(textOf(request)) ? [-5, -4, -6, -5] : [-5, -2, -6, -5]),
    });
    const plain = await classify([said('c', ['a', 'b'])], {
      model,
      method: 'likelihood',
      calibration: 'none',
    });
    expect(plain.rows[1]).toEqual({
      ...{ conversation: 'c', user: 'ada', turn: 2, number: 2, characters: 1 },
      type: 're-attempt-with-feedback',
      logprobs: {
        'new-request': -5,
        're-attempt-with-feedback': -4,
        're-attempt-without-feedback': -6,
        'positive-feedback': -5,
      },
    });
    expect(model.scored).toHaveLength(1);
    const calibrated = await classify([said('c', ['a', 'b', 'd'])], { model, method: 'likelihood' });
    expect(types(calibrated)).toEqual(['initial-request', 'new-request', 'new-request']);
    expect(calibrated.rows[1]?.prior?.['re-attempt-with-feedback']).toBe(-2);
    expect(model.scored).toHaveLength(1 + 40 + 2);
    expect(model.scored[1]?.owner).toBeUndefined();
  });

  it('asks in the same words every time', async () => {
    const first = reader();
    const second = reader();
    const conversations = [said('c', ['a', 'b', 'd!']), said('e', ['f', 'g'], { user: 'bo' })];
    await all(classifyMessages(conversations, { model: first }, watchedContext()));
    await all(classifyMessages(conversations, { model: second }, watchedContext()));
    expect(second.asked).toEqual(first.asked);
    expect(first.asked.length).toBeGreaterThan(2);
  });

  it('classifies more messages than are asked about at once, in order', async () => {
    const many = Array.from({ length: 700 }, (_, index) => said(`c${index}`, ['a', 'b', `c${index}!`]));
    const context = watchedContext();
    const { rows } = await classify(many, {}, context);
    expect(rows.map(({ conversation: id, turn }) => `${id}:${turn}`)).toEqual(
      many.flatMap(({ id }) => [0, 2, 4].map((turn) => `${id}:${turn}`)),
    );
    expect(context.tally.counts()).toMatchObject({ in: 2100, out: 2100 });
  });

  it('refuses options that it does not know', async () => {
    const failing = classify([], { method: 'guess' } as unknown as Partial<ClassifySettings>);
    await expect(failing).rejects.toThrow(/options of classify cannot be used:\n {2}method:/);
  });

  it('stops when it is told to', async () => {
    const model = scriptedModel();
    model.generate = async function* (_, options) {
      options?.signal?.throwIfAborted();
      yield* [];
    };
    const context = { ...watchedContext(), signal: AbortSignal.abort(new Error('stopped')) };
    await expect(classify([said('c', ['a', 'b'])], { model }, context)).rejects.toThrow('stopped');
  });
});
