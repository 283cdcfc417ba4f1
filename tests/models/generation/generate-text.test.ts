/** Text of generated tokens: whole characters, stop strings wherever they fall, prompts of every kind. */

import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { encodePrompt } from '../../../src/data/prompt.js';
import { ConfigError } from '../../../src/errors.js';
import {
  type GenerateTextOptions,
  generateText,
  streamText,
  type TextPrompt,
} from '../../../src/models/generation/generate-text.js';
import { createStopText } from '../../../src/models/generation/stop-text.js';
import { memory } from '../../../src/runtime/tensor.js';
import { chatmlTokenizer } from '../../data/fixtures.js';
import { modelOf, randomWeights, smallConfig } from '../decoder/support.js';

const tokenizer = chatmlTokenizer();
const config = smallConfig({
  vocabSize: tokenizer.vocabSize,
  maxPositionEmbeddings: 300,
  eosTokenIds: [tokenizer.eosTokenId!],
});
const model = modelOf(config, randomWeights(config, 12, 0.4));
afterAll(() => model.dispose());

const CONVERSATION = [{ role: 'user', content: 'hello' }] as const;
const PROMPTS: TextPrompt[] = [CONVERSATION, 'Once', [70, 71, 72]];
/** Hot enough for single bytes of many characters: the text is full of incomplete ones. */
const HOT: GenerateTextOptions = { temperature: 1.5, maxNewTokens: 60, samples: 2, stopTokenIds: [] };

describe('streamed text', () => {
  it('is, joined, the text of the tokens', async () => {
    const pieces = new Map<string, string>();
    const completions = await generateText(model, tokenizer, PROMPTS, {
      ...HOT,
      onText: ({ prompt, sample, text }) => {
        const key = `${prompt} ${sample}`;
        pieces.set(key, (pieces.get(key) ?? '') + text);
      },
    });
    expect(completions.flat()).toHaveLength(6);
    expect(completions.flat().some(({ text }) => text.includes('\uFFFD'))).toBe(true);
    for (const { prompt, sample, ids, text, stopString } of completions.flat()) {
      expect(text).toBe(tokenizer.decode(ids, { skipSpecialTokens: true }));
      expect(pieces.get(`${prompt} ${sample}`)).toBe(text);
      expect(stopString).toBeNull();
    }
  });

  it('leaves out the stop token, which the ids have', async () => {
    const free = (await generateText(model, tokenizer, ['a'], { ...HOT, samples: 1 }))[0]![0]!;
    const stop = free.ids[9]!;
    const [samples] = await generateText(model, tokenizer, ['a'], {
      ...HOT,
      samples: 1,
      stopTokenIds: [stop],
    });
    const { ids, text, finishReason } = samples![0]!;
    expect(ids).toEqual(free.ids.slice(0, free.ids.indexOf(stop) + 1));
    expect(text).toBe(tokenizer.decode(ids.slice(0, -1), { skipSpecialTokens: true }));
    expect(finishReason).toBe('stop');
  });

  it('keeps special tokens where asked to', async () => {
    const options = { ...HOT, temperature: 3, maxNewTokens: 250, skipSpecialTokens: false };
    const special = (id: number) => tokenizer.specialTokenIds.has(id);
    const completions = (await generateText(model, tokenizer, PROMPTS, options)).flat();
    const { ids, text } = completions.find((each) => each.ids.some(special))!;
    expect(text).toBe(tokenizer.decode(ids));
    expect(text).not.toBe(tokenizer.decode(ids, { skipSpecialTokens: true }));
  });
});

describe('a stop string', () => {
  it('ends the text before it, across tokens too', async () => {
    const [free] = await generateText(model, tokenizer, ['a'], { ...HOT, samples: 6, seed: 5 });
    let across = 0;
    for (const { sample, text, ids } of free!) {
      const characters = [...text];
      for (const length of [1, 2, 5]) {
        const stop = characters.slice(15, 15 + length).join('');
        const [stopped] = await generateText(model, tokenizer, ['a'], {
          ...HOT,
          samples: 6,
          seed: 5,
          stop: [stop, 'never to be found'],
        });
        const got = stopped![sample]!;
        expect(got).toMatchObject({
          text: text.slice(0, text.indexOf(stop)),
          stopString: stop,
          finishReason: 'stop',
        });
        expect(got.ids).toEqual(ids.slice(0, got.ids.length));
        expect(got.ids.length).toBeLessThan(ids.length);
        if (!got.ids.some((id) => tokenizer.decode([id]).includes(stop))) across++;
      }
    }
    expect(across).toBeGreaterThan(3);
  });

  it('must not be empty', async () => {
    await expect(generateText(model, tokenizer, ['a'], { stop: [''] })).rejects.toThrow(ConfigError);
  });
});

describe('finding stop strings in pieces', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 30 });
  const stop = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 });

  it('gives the same text however it is cut, and holds back no more than it must', () => {
    fc.assert(
      fc.property(letters, fc.array(stop, { maxLength: 3 }), fc.array(fc.nat(4)), (text, stops, cuts) => {
        const finder = createStopText(stops);
        let given = '';
        let seen = '';
        let found: string | null = null;
        for (let at = 0, i = 0; at < text.length && found === null; i++) {
          const piece = text.slice(at, at + 1 + (cuts[i] ?? 0));
          at += piece.length;
          seen += piece;
          const result = finder.push(piece);
          given += result.text;
          found = result.stop;
          const rest = seen.slice(given.length);
          if (found === null && rest !== '') expect(stops.some((s) => s.startsWith(rest))).toBe(true);
        }
        if (found === null) given += finder.end();
        const ends = [...text].map((_, i) => text.slice(0, i + 1));
        const whole = ends.find((upTo) => stops.some((s) => upTo.endsWith(s)));
        const longest = stops.filter((s) => whole?.endsWith(s)).sort((a, b) => b.length - a.length)[0];
        expect(found).toBe(longest ?? null);
        expect(given).toBe(whole === undefined ? text : whole.slice(0, whole.length - longest!.length));
      }),
    );
  });

  it('takes the one that ends first, then the longest', () => {
    expect(createStopText(['abcd', 'c', 'bc']).push('xabcde')).toEqual({ text: 'xa', stop: 'bc' });
  });
});

describe('prompts', () => {
  it('are conversations, texts or ids', async () => {
    const ids = PROMPTS.map((prompt, i) =>
      i === 0
        ? encodePrompt(CONVERSATION, tokenizer)
        : typeof prompt === 'string'
          ? tokenizer.encode(prompt, { addSpecialTokens: true })
          : (prompt as number[]),
    );
    expect(await generateText(model, tokenizer, PROMPTS, HOT)).toEqual(
      await generateText(model, tokenizer, ids, HOT),
    );
  });
});

it('frees everything when the stream is left early', async () => {
  await generateText(model, tokenizer, PROMPTS, HOT);
  const before = memory();
  for await (const event of streamText(model, tokenizer, PROMPTS, HOT)) if (event.type === 'text') break;
  expect(memory()).toEqual(before);
});
