import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tokenizerFromGguf } from '../../src/data/gguf-tokenizer.js';
import type { Message, PreferencePair } from '../../src/data/pairs.js';
import { createPersonaTemplate } from '../../src/data/persona-prompt.js';
import { readPairs } from '../../src/data/read-pairs.js';
import {
  encodePrompt,
  type TokenizedPair,
  type TokenizeOptions,
  type TokenizeOutcome,
  tokenizePair,
  tokenizePairs,
} from '../../src/data/tokenize.js';
import { endOfTurnTokenId, type Tokenizer } from '../../src/data/tokenizer.js';
import { ConfigError } from '../../src/errors.js';
import {
  byteLevelMetadata,
  chatmlTokenizer,
  LLAMA2_TEMPLATE,
  referenceDir,
  SMOLLM2_TEMPLATE,
  sentencePieceMetadata,
  tokenizerWithTemplate,
} from './fixtures.js';

const pairOf = (
  prompt: string | Message[],
  chosen: string,
  rejected: string,
  persona?: string,
): PreferencePair => ({
  prompt: typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : prompt,
  chosen: [{ role: 'assistant', content: chosen }],
  rejected: [{ role: 'assistant', content: rejected }],
  ...(persona === undefined ? {} : { persona }),
});

function tokenized(outcome: TokenizeOutcome): TokenizedPair {
  if (!outcome.ok) throw new Error(`dropped: ${outcome.reason}`);
  return outcome.pair;
}

function reasonOf(outcome: TokenizeOutcome): string {
  if (outcome.ok) throw new Error('expected the pair to be dropped');
  return outcome.reason;
}

const chatml = chatmlTokenizer();
const text = (ids: number[], tokenizer: Tokenizer = chatml) => tokenizer.decode(ids);

describe('tokenizePair with ChatML', () => {
  it('ends the prompt with the generation prompt and answers with one end of turn', () => {
    const pair = tokenized(tokenizePair({ ...pairOf('Hi', 'Hello!', 'No.'), id: 'p1', user: 'u1' }, chatml));
    expect(text(pair.promptIds)).toBe(
      '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' +
        '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n',
    );
    expect(text(pair.chosenIds)).toBe('Hello!<|im_end|>');
    expect(text(pair.rejectedIds)).toBe('No.<|im_end|>');
    expect(pair).toMatchObject({ id: 'p1', user: 'u1' });
    expect(pair.promptIds).toEqual(encodePrompt([{ role: 'user', content: 'Hi' }], chatml));
  });

  it('puts the persona in place of the default system prompt, the same for chosen and rejected', () => {
    const personaTemplate = createPersonaTemplate('About the user: {{ persona }}');
    const source = pairOf(
      [{ role: 'system', content: 'Sell cars.' }, ...pairOf('Hi', '', '').prompt],
      'a',
      'b',
      'Shy.',
    );
    const pair = tokenized(tokenizePair(source, chatml, { personaTemplate }));
    expect(text(pair.promptIds)).toBe(
      '<|im_start|>system\nSell cars.\n\nAbout the user: Shy.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n',
    );
    expect(pair.promptIds).toEqual(encodePrompt(source.prompt, chatml, { persona: 'Shy.', personaTemplate }));
  });

  it('tokenizes a response by itself where its first token would merge with the prompt’s last', () => {
    // "\n" ends the prompt and "\n\n" is one token: tokenized together, the prompt would lose its last token.
    const outcome = tokenizePair(pairOf('Hi', '\n\nHello', 'Hello'), chatml);
    const pair = tokenized(outcome);
    const whole = text(pair.promptIds) + text(pair.chosenIds);
    expect(chatml.encode(whole).slice(0, pair.promptIds.length)).not.toEqual(pair.promptIds);
    expect(text(pair.chosenIds)).toBe('\n\nHello<|im_end|>');
    expect(pair.promptIds).toEqual(encodePrompt([{ role: 'user', content: 'Hi' }], chatml));
    expect(outcome).toMatchObject({ boundaryMerges: 1 });
  });

  it('drops a response that holds the text of the end-of-turn token', () => {
    expect(reasonOf(tokenizePair(pairOf('Hi', 'a<|im_end|>b', 'c'), chatml))).toMatch(
      /chosen answer holds .*<\|im_end\|>/,
    );
    expect(reasonOf(tokenizePair(pairOf('Hi', 'a', 'c<|im_end|>'), chatml))).toMatch(/rejected answer/);
  });

  it('keeps an empty answer: the model may be asked to say nothing', () => {
    expect(text(tokenized(tokenizePair(pairOf('Hi', 'a', ''), chatml)).rejectedIds)).toBe('<|im_end|>');
  });

  it('has the prompt as a strict prefix and the texts back, for any texts', () => {
    // No half characters, which have no bytes, and no text of special tokens.
    const anyText = fc.string({ unit: 'grapheme', maxLength: 30 }).filter((value) => !value.includes('<|'));
    const anyPair = fc.tuple(anyText, anyText, anyText, fc.option(anyText)).filter(([, a, b]) => a !== b);
    fc.assert(
      fc.property(anyPair, ([prompt, chosen, rejected, persona]) => {
        const pair = tokenized(tokenizePair(pairOf(prompt, chosen, rejected, persona ?? undefined), chatml));
        expect(text(pair.promptIds)).toMatch(/<\|im_end\|>\n<\|im_start\|>assistant\n$/);
        expect(text(pair.chosenIds)).toBe(`${chosen}<|im_end|>`);
        expect(text(pair.rejectedIds)).toBe(`${rejected}<|im_end|>`);
        for (const ids of [pair.chosenIds, pair.rejectedIds]) {
          expect(ids.filter((id) => id === 2)).toHaveLength(1);
          expect(text([...pair.promptIds, ...ids])).toBe(text(pair.promptIds) + text(ids));
        }
      }),
    );
  });
});

describe('tokenizePair with SentencePiece and Llama 2’s frame', () => {
  const llama2 = tokenizerFromGguf(sentencePieceMetadata());

  it('has one beginning of sequence, and folds the persona into the first message', () => {
    const personaTemplate = createPersonaTemplate('{{ persona }}');
    const pair = tokenized(tokenizePair(pairOf('Hi', 'Hello', 'No', 'Shy.'), llama2, { personaTemplate }));
    expect(pair.promptIds.filter((id) => id === 1)).toHaveLength(1);
    expect(pair.promptIds[0]).toBe(1);
    expect(text(pair.promptIds, llama2)).toContain('[INST] Shy.\n\nHi [/INST]');
    expect(text([...pair.promptIds, ...pair.chosenIds], llama2)).toMatch(/\[\/INST\] Hello <\/s>$/);
    expect(pair.chosenIds.at(-1)).toBe(2);
  });

  it('takes a doubled beginning of sequence away', () => {
    const doubled = tokenizerFromGguf(
      sentencePieceMetadata({ 'tokenizer.chat_template': `{{ bos_token }}${LLAMA2_TEMPLATE}` }),
    );
    expect(tokenized(tokenizePair(pairOf('Hi', 'Hello', 'No'), doubled))).toEqual(
      tokenized(tokenizePair(pairOf('Hi', 'Hello', 'No'), llama2)),
    );
  });
});

describe.skipIf(!referenceDir)('tokenizePair with real templates (set PERSONA_DPO_REFERENCE_DIR)', () => {
  const template = (name: string): string => {
    const path = join(referenceDir as string, 'data/chat_templates/hf_jinja_e2e_cases.json');
    return JSON.parse(readFileSync(path, 'utf8')).TEST_CUSTOM_TEMPLATES[name].chat_template;
  };

  it('Llama 3.1: header, one beginning of sequence, trimmed answers', () => {
    const llama3 = tokenizerWithTemplate(template('meta-llama/Llama-3.1-8B-Instruct'));
    const pair = tokenized(tokenizePair(pairOf('Hi', ' Hello \n', 'No', 'Shy.'), llama3));
    expect(pair.promptIds.filter((id) => id === 3)).toHaveLength(1);
    expect(text(pair.promptIds, llama3)).toMatch(
      /^<\|begin_of_text\|><\|start_header_id\|>system.*Shy\.<\|eot_id\|>.*\nHi<\|eot_id\|><\|start_header_id\|>assistant<\|end_header_id\|>\n\n$/s,
    );
    expect(text(pair.chosenIds, llama3)).toBe('Hello<|eot_id|>');
    expect(endOfTurnTokenId(llama3)).toBe(6);
  });

  it('Qwen2.5: the persona replaces the default system prompt', () => {
    const qwen = tokenizerWithTemplate(template('Qwen/Qwen2.5-7B-Instruct'));
    const withDefault = tokenized(tokenizePair(pairOf('Hi', 'Hello', 'No'), qwen));
    expect(text(withDefault.promptIds, qwen)).toContain('created by Alibaba Cloud');
    const pair = tokenized(tokenizePair(pairOf('Hi', 'Hello', 'No', 'Shy.'), qwen));
    expect(text(pair.promptIds, qwen)).not.toContain('Alibaba');
    expect(text(pair.chosenIds, qwen)).toBe('Hello<|im_end|>');
  });

  it('Qwen3: no reasoning to learn by default; with it when asked; refused in between', () => {
    const source = template('Qwen/Qwen3-0.6B');
    const plain = pairOf('Hi', 'Hello', 'No');
    const reasoned = pairOf(
      'Hi',
      '<think>\nA greeting.\n</think>\n\nHello',
      '<think>\nWhat?\n</think>\n\nNo',
    );
    const quiet = tokenizerWithTemplate(source);
    expect(text(tokenized(tokenizePair(plain, quiet)).promptIds, quiet)).toMatch(/<think>\n\n<\/think>\n\n$/);
    expect(text(tokenized(tokenizePair(plain, quiet)).chosenIds, quiet)).toBe('Hello<|im_end|>');
    expect(reasonOf(tokenizePair(reasoned, quiet))).toMatch(/enable_thinking/);
    const thinking = tokenizerWithTemplate(source, { variables: { enable_thinking: true } });
    const pair = tokenized(tokenizePair(reasoned, thinking));
    expect(text(pair.promptIds, thinking)).toMatch(/assistant\n$/);
    expect(text(pair.chosenIds, thinking)).toBe('<think>\nA greeting.\n</think>\n\nHello<|im_end|>');
  });

  it('DeepSeek R1: a reasoning trace that the template would throw away is refused', () => {
    const r1 = tokenizerWithTemplate(template('deepseek-ai/DeepSeek-R1'));
    expect(reasonOf(tokenizePair(pairOf('Hi', '<think>Hm.</think>Hello', 'No'), r1))).toMatch(
      /changes this answer from "<think>Hm\.<\/think>Hello" to "Hello"/,
    );
    expect(tokenizePair(pairOf('Hi', 'Hello', 'No'), r1).ok).toBe(true);
  });

  it('Mistral Nemo: the answer follows the prompt with its system message, which the template forgets', () => {
    const nemo = tokenizerWithTemplate(template('mistralai/Mistral-Nemo-Instruct-2407'));
    const personaTemplate = createPersonaTemplate('{{ persona }}');
    const pair = tokenized(tokenizePair(pairOf('Hi', 'Hello', 'No', 'Shy.'), nemo, { personaTemplate }));
    expect(text(pair.promptIds, nemo)).toBe('<|im_start|>[INST]Shy.\n\nHi[/INST]');
    expect(text(pair.chosenIds, nemo)).toBe('Hello<|im_end|>');
  });

  it('reads 300 real conversations and tokenizes the first 60', async () => {
    const path = join(referenceDir as string, 'data/preference/llamafactory_dpo_en_demo.json');
    const { pairs, bad, total } = await readPairs(path);
    expect([total, bad.length]).toEqual([300, 0]);
    const result = tokenizePairs(pairs.slice(0, 60), chatml, { maxLength: 1024 });
    expect(result.tokenized).toHaveLength(60);
    for (const { promptIds, chosenIds, rejectedIds } of result.tokenized) {
      expect(promptIds.length + Math.max(chosenIds.length, rejectedIds.length)).toBeLessThanOrEqual(1024);
    }
    expect(result.truncated.prompts).toBeGreaterThan(0);
  });
});

describe('plain text and token ids', () => {
  it('plain text goes on as it is, with an end of sequence', () => {
    const pair = { promptText: 'Beautiful is better than', chosenText: ' ugly.', rejectedText: ' the moon.' };
    const ids = tokenized(tokenizePair(pair, chatml));
    expect(text(ids.promptIds)).toBe('Beautiful is better than');
    expect(text(ids.chosenIds)).toBe(' ugly.<|im_end|>');
    const ended = tokenized(tokenizePair({ ...pair, chosenText: ' ugly.<|im_end|>' }, chatml));
    expect(ended.chosenIds).toEqual(ids.chosenIds);
    const llama2 = tokenizerFromGguf(sentencePieceMetadata());
    const spaced = tokenized(tokenizePair(pair, llama2));
    expect(spaced.promptIds[0]).toBe(1);
    expect(text([...spaced.promptIds, ...spaced.chosenIds], llama2)).toBe(
      '<s> Beautiful is better than ugly.</s>',
    );
    const twice = tokenized(tokenizePair({ ...pair, promptText: '<s>Beautiful is better than' }, llama2));
    expect(twice.promptIds.filter((id) => id === 1)).toHaveLength(1);
  });

  it('plain text with a persona is a user’s message', () => {
    const pair = { promptText: 'Hi', chosenText: 'a', rejectedText: 'b', persona: 'Shy.' };
    expect(text(tokenized(tokenizePair(pair, chatml)).promptIds)).toContain(
      'Shy.<|im_end|>\n<|im_start|>user\nHi',
    );
    expect(text(tokenized(tokenizePair(pair, chatml, { plainText: 'raw' })).promptIds)).toBe('Hi');
    const { persona: _, ...plain } = pair;
    expect(text(tokenized(tokenizePair(plain, chatml, { plainText: 'chat' })).promptIds)).toContain(
      'user\nHi',
    );
  });

  it('plain text whose beginning merges with the prompt is tokenized by itself', () => {
    const outcome = tokenizePair({ promptText: 'a\n', chosenText: '\n\nb', rejectedText: 'b' }, chatml);
    expect(outcome).toMatchObject({ ok: true, boundaryMerges: 1 });
    expect(text(tokenized(outcome).chosenIds)).toBe('\n\nb<|im_end|>');
  });

  it('token ids are taken as they are, if the vocabulary has them', () => {
    const pair = { promptIds: [1, 9], chosenIds: [10, 2], rejectedIds: [11] };
    expect(tokenized(tokenizePair(pair, chatml))).toMatchObject(pair);
    expect(reasonOf(tokenizePair({ ...pair, rejectedIds: [100_000] }, chatml))).toMatch(
      /rejectedIds, got 100000/,
    );
  });

  it('a model without a template is asked for one, once and for all pairs', () => {
    const { 'tokenizer.chat_template': _, ...metadata } = byteLevelMetadata();
    const tokenizer = tokenizerFromGguf(metadata);
    expect(() => tokenizePairs([pairOf('a', 'b', 'c')], tokenizer)).toThrow(ConfigError);
    expect(() => tokenizePairs([pairOf('a', 'b', 'c')], tokenizer)).toThrow(/no chat template/);
    expect(
      tokenizePairs([{ promptText: 'a', chosenText: 'b', rejectedText: 'c' }], tokenizer).tokenized,
    ).toHaveLength(1);
  });

  it('a template without an end token gets the end of sequence', () => {
    const bare =
      '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}';
    const pair = tokenized(tokenizePair(pairOf('Hi', 'Hello', 'No'), tokenizerWithTemplate(bare)));
    expect(text(pair.chosenIds)).toBe('Hello<|im_end|>');
    expect(text(pair.promptIds)).toBe('user: Hi\nassistant: ');
  });
});

describe('truncation', () => {
  const turn = (n: number): Message[] => [
    { role: 'user', content: `Question ${n} about the weather` },
    { role: 'assistant', content: `Answer ${n} is that it rains` },
  ];
  const conversation: Message[] = [
    ...turn(1),
    ...turn(2),
    { role: 'user', content: 'the last question of all' },
  ];
  const options: TokenizeOptions = { personaTemplate: createPersonaTemplate('Persona: {{ persona }}') };
  const source = pairOf(conversation, 'yes', 'no', 'Shy.');
  const full = tokenized(tokenizePair(source, chatml, options));
  const completion = Math.max(full.chosenIds.length, full.rejectedIds.length);
  const cut = (maxLength: number, more: TokenizeOptions = {}) =>
    tokenizePair(source, chatml, { ...options, maxLength, ...more });
  const SYSTEM = '<|im_start|>system\nPersona: Shy.<|im_end|>\n<|im_start|>user\n';
  const ASK = '<|im_end|>\n<|im_start|>assistant\n';

  it('leaves a pair that fits alone', () => {
    expect(cut(full.promptIds.length + completion)).toMatchObject({ ok: true, pair: full, promptCut: false });
  });

  it('keep_end leaves out whole exchanges, oldest first, and keeps the persona', () => {
    const one = tokenized(cut(full.promptIds.length + completion - 1));
    expect(text(one.promptIds)).toMatch(
      /^<\|im_start\|>system\nPersona: Shy\.<\|im_end\|>\n<\|im_start\|>user\nQuestion 2/,
    );
    expect(one.chosenIds).toEqual(full.chosenIds);
    const last = encodePrompt(conversation.slice(-1), chatml, { persona: 'Shy.', ...options });
    expect(tokenized(cut(last.length + completion)).promptIds).toEqual(last);
  });

  it('then the beginning of the last message, keeping system message and generation prompt', () => {
    const last = encodePrompt(conversation.slice(-1), chatml, { persona: 'Shy.', ...options });
    const outcome = cut(last.length + completion - 3);
    const prompt = text(tokenized(outcome).promptIds);
    expect(outcome).toMatchObject({ promptCut: true, completionCut: false });
    expect(tokenized(outcome).promptIds).toHaveLength(last.length - 3);
    expect(prompt.startsWith(SYSTEM)).toBe(true);
    expect(prompt.endsWith(`of all${ASK}`)).toBe(true);
  });

  it('keep_start leaves out the end of what is said', () => {
    const outcome = cut(full.promptIds.length + completion - 6, { truncationMode: 'keep_start' });
    const prompt = text(tokenized(outcome).promptIds);
    expect(prompt.startsWith(`${SYSTEM}Question 1 about the weather${'<|im_end|>'}`)).toBe(true);
    expect(prompt.endsWith(ASK)).toBe(true);
    expect(prompt).not.toContain('of all');
    expect(tokenized(outcome).promptIds).toHaveLength(full.promptIds.length - 6);
  });

  it('cuts completions only when the prompt cannot give more, and drops what would be nothing', () => {
    const least = chatml.encode(SYSTEM).length + chatml.encode(ASK).length;
    const long = pairOf(
      conversation,
      'yes and then a lot more words',
      'no and then a lot more words',
      'Shy.',
    );
    const limited = (maxLength: number) => tokenizePair(long, chatml, { ...options, maxLength });
    const outcome = limited(least + 1);
    expect(outcome).toMatchObject({ ok: true, completionCut: true, promptCut: true });
    expect(tokenized(outcome).chosenIds).toHaveLength(1);
    expect(text(tokenized(outcome).promptIds)).toBe(SYSTEM + ASK);
    expect(reasonOf(limited(least))).toMatch(
      new RegExp(`Nothing would be left .* takes ${least} of ${least} tokens`),
    );
    const alike = pairOf('Hi', 'the same and more', 'the same and less');
    const short = encodePrompt([], chatml);
    expect(short.length).toBeGreaterThan(0);
    const same = tokenizePair(alike, chatml, {
      maxLength: encodePrompt([{ role: 'user', content: '' }], chatml).length + 2,
    });
    expect(reasonOf(same)).toMatch(/the same in the 2 tokens/);
  });

  it('limits the prompt by itself', () => {
    const outcome = tokenizePair(source, chatml, { ...options, maxPromptLength: 60 });
    expect(tokenized(outcome).promptIds.length).toBeLessThanOrEqual(60);
    expect(() => tokenizePair(source, chatml, { maxPromptLength: 0 })).toThrow(ConfigError);
  });

  it('cuts ids and plain text at the side that is asked for, keeping the beginning of sequence', () => {
    const pair = { promptIds: [1, 20, 21, 22, 23], chosenIds: [30, 2], rejectedIds: [31, 2] };
    expect(tokenized(tokenizePair(pair, chatml, { maxLength: 5 })).promptIds).toEqual([1, 22, 23]);
    const start = tokenizePair(pair, chatml, { maxLength: 5, truncationMode: 'keep_start' });
    expect(tokenized(start).promptIds).toEqual([1, 20, 21]);
  });

  it('never exceeds the limit and counts every pair, for any limit', () => {
    const pairs = [
      source,
      pairOf('Hi', 'yes', 'no'),
      pairOf('Hi', 'x<|im_end|>', 'no'),
      pairOf('a b c '.repeat(50), '\n', 'b'),
    ];
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 400 }),
        fc.constantFrom('keep_start', 'keep_end'),
        (maxLength, truncationMode) => {
          const result = tokenizePairs(pairs, chatml, { maxLength, truncationMode });
          expect(result.tokenized.length + result.dropped.length).toBe(pairs.length);
          expect(result.dropped.map(({ index }) => index)).toContain(2);
          for (const { promptIds, chosenIds, rejectedIds } of result.tokenized) {
            expect(promptIds.length + Math.max(chosenIds.length, rejectedIds.length)).toBeLessThanOrEqual(
              maxLength,
            );
            expect(Math.min(promptIds.length, chosenIds.length, rejectedIds.length)).toBeGreaterThan(0);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('uses the same template text as the model file', () => {
    expect(chatml.chatTemplate?.source).toBe(SMOLLM2_TEMPLATE);
  });
});
