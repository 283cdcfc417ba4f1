/** The local policy as a chat model: the same replies batched and alone, and what training would have given it. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodePrompt } from '../../src/data/prompt.js';
import { tokenizePair } from '../../src/data/tokenize.js';
import { CheckpointError, ConfigError, LlmApiError } from '../../src/errors.js';
import type { ChatModel, ChatRequest } from '../../src/llm/chat-model.js';
import { createLocalChatModel } from '../../src/llm/local-chat-model.js';
import { openChatModel } from '../../src/llm/open-chat-model.js';
import { createLoraAdapter } from '../../src/models/create-adapter.js';
import { generate } from '../../src/models/generate.js';
import { type LoadedModel, loadModel } from '../../src/models/load-model.js';
import { memory, tensor } from '../../src/runtime/tensor.js';
import { pairLogps } from '../../src/train/pair-logps.js';
import { writeTinyModel } from '../support/tiny-model.js';
import { ask, collect } from './fake-server.js';

const folders: string[] = [];
let loaded: LoadedModel;
let model: ChatModel;
let modelFolder: string;

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'persona-dpo-local-'));
  folders.push(path);
  return path;
}

beforeAll(async () => {
  modelFolder = folder();
  writeTinyModel(modelFolder);
  loaded = await loadModel(modelFolder, { dtype: 'float32' });
  model = await createLocalChatModel(loaded, { batchSize: 8 });
});

afterAll(() => {
  loaded.dispose();
  for (const each of folders) rmSync(each, { recursive: true, force: true });
});

const WORDS = ['the tin', 'an otter you', 'reall', 'she', 'inner man', 'you and the other you', 'a', 'st'];
const LONG = 'the other one in the inn and you and all the rest '.repeat(5);

describe('replies', () => {
  const sampling = { temperature: 1, maxTokens: 12 };
  const requests: ChatRequest[] = Array.from({ length: 20 }, (_, i) => ({
    id: `r${i}`,
    messages: [
      ...(i % 2 === 0 ? [{ role: 'system' as const, content: LONG }] : []),
      { role: 'user' as const, content: WORDS[i % WORDS.length]! },
    ],
    sampling: { ...sampling, seed: i % 3, ...(i % 5 === 0 ? { topP: 0.9 } : {}) },
  }));

  it('are the same batched and alone, whatever the sampling of the others', async () => {
    const before = memory();
    const together = await collect(model.generate(requests));
    for (const [i, request] of requests.entries()) {
      const [alone] = await collect(model.generate([request]));
      expect(together[i]).toEqual({ ...alone, index: i });
      expect(together[i]!.id).toBe(`r${i}`);
    }
    expect(new Set(together.map(({ reply }) => reply!.text)).size).toBeGreaterThan(10);
    expect(memory()).toEqual(before);
  });

  it('are those of generate, with the prompt that training makes of the messages', async () => {
    const messages = requests[0]!.messages;
    const [outcome] = await collect(model.generate([{ id: 'x', messages, sampling: { maxTokens: 12 } }]));
    const { tokenizer } = loaded;
    const ids = encodePrompt(messages, tokenizer!);
    const answer = (content: string) => [{ role: 'assistant' as const, content }];
    const pair = tokenizePair(
      { prompt: [...messages], chosen: answer('a'), rejected: answer('b') },
      tokenizer!,
    );
    expect(pair).toMatchObject({ pair: { promptIds: ids } });
    const [[completion] = []] = await generate(loaded, [ids], { maxNewTokens: 12 });
    expect(outcome!.reply).toEqual({
      ...{ text: completion!.text, finishReason: 'length', promptTokens: ids.length },
      ...{ completionTokens: completion!.ids.length, cached: false },
    });
  });

  it('to equal requests are drawn once; with other seeds they differ', async () => {
    const local = await createLocalChatModel(loaded);
    const request = (id: string, seed: number) => ({ ...requests[1]!, id, sampling: { ...sampling, seed } });
    const outcomes = await collect(local.generate([request('a', 1), request('b', 2), request('c', 1)]));
    expect(outcomes.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    expect(outcomes[2]!.reply).toEqual(outcomes[0]!.reply);
    expect(outcomes[1]!.reply!.text).not.toBe(outcomes[0]!.reply!.text);
    const { promptTokens } = outcomes[0]!.reply!;
    expect(local.usage()).toMatchObject({
      requests: 3,
      failed: 0,
      promptTokens: 2 * promptTokens,
      cost: null,
    });
  });

  it('end at a stop text, which is no part of them', async () => {
    const [whole] = await collect(model.generate([ask('the tin', { sampling: { maxTokens: 30 } })]));
    const { text } = whole!.reply!;
    const stop = text.slice(4, 6);
    const [cut] = await collect(
      model.generate([ask('the tin', { sampling: { maxTokens: 30, stop: [stop] } })]),
    );
    expect(cut!.reply).toMatchObject({ text: text.slice(0, text.indexOf(stop)), finishReason: 'stop' });
  });

  it('are none for a prompt that is too long, which says so; the others are answered', async () => {
    const outcomes = await collect(model.generate([ask('x'.repeat(600)), ask('the', { sampling })]));
    expect(outcomes[0]!.error).toBeInstanceOf(LlmApiError);
    expect(outcomes[0]!.error).toMatchObject({ retryable: false, details: { limit: 512 } });
    expect(outcomes[0]!.error!.message).toMatch(/has 6\d\d tokens; the model takes 512/);
    expect(outcomes[1]!.reply).toBeDefined();
    expect(model.contextTokens).toBe(512);
  });

  it('near the end of the context are cut there', async () => {
    const request = ask('x'.repeat(480), { sampling: { temperature: 1, maxTokens: 300 } });
    const [outcome] = await collect(model.generate([request]));
    const { promptTokens, completionTokens } = outcome!.reply!;
    expect(promptTokens + completionTokens).toBeLessThanOrEqual(512);
  });

  it('come of requests that wait for them', async () => {
    let answered = () => {};
    async function* source() {
      for (let i = 0; i < 3; i++) {
        const done = new Promise<void>((resolve) => (answered = resolve));
        yield ask(`${WORDS[i]}`, { sampling });
        await done;
      }
    }
    const seen: string[] = [];
    for await (const { id } of model.generate(source())) {
      seen.push(id);
      answered();
    }
    expect(seen).toEqual(WORDS.slice(0, 3));
  });

  it('end with the signal, and everything is freed', async () => {
    const before = memory();
    const controller = new AbortController();
    const run = async () => {
      for await (const _ of model.generate(requests, { signal: controller.signal })) {
        controller.abort(new Error('enough'));
      }
    };
    await expect(run()).rejects.toThrow('enough');
    for await (const _ of model.generate(requests)) break;
    expect(memory()).toEqual(before);
  });
});

describe('labels', () => {
  const LABELS = ['[[the one]]', '[[the other]]', 'a', 'zebra'];
  const question = (content: string, i: number) => ({
    id: `q${i}`,
    messages: [
      { role: 'system' as const, content: LONG },
      { role: 'user' as const, content },
    ],
    labels: i % 2 === 0 ? LABELS : LABELS.slice(1),
  });
  const questions = Array.from({ length: 20 }, (_, i) => question(`${WORDS[i % WORDS.length]} ${i % 9}`, i));

  it('get the summed log-probabilities of a full pass of training, batched and alone', async () => {
    const before = memory();
    const together = await collect(model.scoreLabels(questions));
    const { tokenizer } = loaded;
    for (const [i, { messages, labels }] of questions.entries()) {
      const promptIds = encodePrompt(messages, tokenizer!);
      for (const [j, label] of labels.entries()) {
        const chosenIds = tokenizer!.encodeContinuation(label);
        const pair = { id: 'p', promptIds, chosenIds, rejectedIds: [5] };
        for await (const { chosenLogps } of pairLogps(loaded.model, [pair])) {
          const sum = chosenLogps.reduce((total, value) => total + value, 0);
          expect(together[i]!.reply!.logprobs[j]).toBeCloseTo(sum, 3);
          expect(together[i]!.reply!.tokens[j]).toBe(chosenIds.length);
        }
      }
    }
    const [alone] = await collect(model.scoreLabels([questions[3]!]));
    for (const [j, value] of alone!.reply!.logprobs.entries()) {
      expect(together[3]!.reply!.logprobs[j]).toBeCloseTo(value, 4);
    }
    expect(memory()).toEqual(before);
  });

  it('of equal questions are scored once', async () => {
    const local = await createLocalChatModel(loaded);
    const outcomes = await collect(local.scoreLabels([questions[0]!, { ...questions[0]!, id: 'again' }]));
    expect(outcomes[1]!.reply).toEqual(outcomes[0]!.reply);
    const { length } = encodePrompt(questions[0]!.messages, loaded.tokenizer!);
    expect(local.usage()).toMatchObject({ requests: 2, promptTokens: length });
  });

  it('that do not fit behind the prompt are an error of that request', async () => {
    const outcomes = await collect(
      model.scoreLabels([
        { ...ask('x'.repeat(480)), labels: ['a', 'y'.repeat(40)] },
        { ...ask('x'), labels: ['a'] },
      ]),
    );
    expect(outcomes[0]!.error!.message).toMatch(/the model takes 512/);
    expect(outcomes[1]!.reply!.logprobs).toHaveLength(1);
  });

  it('must be there, different, and not empty', async () => {
    for (const labels of [[], ['a', 'a'], ['']]) {
      await expect(collect(model.scoreLabels([{ ...ask('x'), labels }]))).rejects.toThrow(ConfigError);
    }
  });

  it('end with the signal, and everything is freed', async () => {
    const before = memory();
    const controller = new AbortController();
    const run = async () => {
      for await (const _ of model.scoreLabels(questions, { signal: controller.signal })) {
        controller.abort(new Error('enough'));
      }
    };
    await expect(run()).rejects.toThrow('enough');
    expect(memory()).toEqual(before);
  });
});

describe('the model', () => {
  it('is told from every other by its identity', async () => {
    const identities = new Set([model.identity]);
    const other = folder();
    writeTinyModel(other, { seed: 2 });
    const template = join(folder(), 'other.jinja');
    writeFileSync(template, "{% for m in messages %}{{ m['content'] }}<|im_end|>{% endfor %}");
    const variants: [string, Parameters<typeof loadModel>[1]][] = [
      [other, { dtype: 'float32' }],
      [modelFolder, { dtype: 'bfloat16' }],
      [modelFolder, { dtype: 'float32', tokenizer: { chatTemplateFile: template } }],
    ];
    for (const [path, options] of variants) {
      const variant = await loadModel(path, options);
      identities.add((await createLocalChatModel(variant)).identity);
      variant.dispose();
    }
    const adapter = createLoraAdapter(loaded.model, { rank: 2 });
    adapter.replace('layers.0.q_proj.B', tensor('float32', [32, 2], new Float32Array(64).fill(0.5)));
    loaded.model.attach(adapter);
    identities.add((await createLocalChatModel(loaded)).identity);
    loaded.model.detach()?.dispose();
    expect(identities.size).toBe(5);
    expect((await createLocalChatModel(loaded)).identity).toBe(model.identity);
    expect(model.identity).not.toContain('\n');
  });

  it('counts tokens exactly', () => {
    expect(model.countTokens('the the you')).toBe(loaded.tokenizer!.encode('the the you').length);
  });

  it('needs a tokenizer and a chat template', async () => {
    const bare = folder();
    writeTinyModel(bare, { tokenizer: false });
    const before = memory();
    await expect(openChatModel({ kind: 'local', model: bare })).rejects.toThrow(CheckpointError);
    expect(memory()).toEqual(before);
  });

  it('that was opened is freed when it is disposed, with its cache', async () => {
    const before = memory();
    const path = join(folder(), 'replies.lmdb');
    const texts: (string | undefined)[] = [];
    for (const cached of [false, true]) {
      const opened = await openChatModel(
        { kind: 'local', model: modelFolder, dtype: 'float32' },
        { cache: path },
      );
      const [outcome] = await collect(opened.generate([ask('the', { sampling: { maxTokens: 5 } })]));
      expect(outcome!.reply!.cached).toBe(cached);
      texts.push(outcome!.reply!.text);
      await opened.dispose();
    }
    expect(texts[1]).toBe(texts[0]);
    expect(memory()).toEqual(before);
  });
});

describe('a template with a system prompt of its own', () => {
  const TEMPLATE =
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nBe as you are.<|im_end|>\\n' }}{% endif %}" +
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}" +
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

  it('gives the prompt that training gets, with and without a system message', async () => {
    const template = join(folder(), 'default-system.jinja');
    writeFileSync(template, TEMPLATE);
    const own = await loadModel(modelFolder, { dtype: 'float32', tokenizer: { chatTemplateFile: template } });
    const local = await createLocalChatModel(own);
    const user = { role: 'user' as const, content: 'the' };
    const answer = (content: string) => [{ role: 'assistant' as const, content }];
    for (const messages of [[user], [{ role: 'system' as const, content: 'Be kind.' }, user]]) {
      const pair = { prompt: messages, chosen: answer('a'), rejected: answer('b') };
      const trained = tokenizePair(pair, own.tokenizer!);
      const [outcome] = await collect(local.generate([{ id: 'x', messages, sampling: { maxTokens: 4 } }]));
      expect(trained).toMatchObject({ ok: true });
      if (!trained.ok) continue;
      const { promptIds } = trained.pair;
      expect(outcome!.reply!.promptTokens).toBe(promptIds.length);
      const [[completion] = []] = await generate(own, [promptIds], { maxNewTokens: 4 });
      expect(outcome!.reply!.text).toBe(completion!.text);
    }
    own.dispose();
  });
});
