import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mergesFromScores, tokenizerFromGguf } from '../../src/data/gguf-tokenizer.js';
import { createStreamDecoder } from '../../src/data/stream-decoder.js';
import { createTokenizer, endOfTurnTokenId, loadTokenizer } from '../../src/data/tokenizer.js';
import { CheckpointError } from '../../src/errors.js';
import { openGguf } from '../../src/models/gguf-file.js';
import {
  byteLevelMetadata,
  chatmlTokenizer,
  type EncodingCase,
  readGolden,
  referenceDir,
  SMOLLM2_TEMPLATE,
  sentencePieceMetadata,
  tinyByteLevel,
  tinySentencePiece,
} from './fixtures.js';

const smollm2 = process.env.PERSONA_DPO_SMOLLM2_GGUF;

describe('tokenizer from GGUF metadata', () => {
  for (const [pre, cases] of Object.entries(tinyByteLevel.encodings)) {
    it(`gives the ids of the reference library for "${pre}"`, () => {
      const tokenizer = tokenizerFromGguf(byteLevelMetadata(pre));
      for (const { text, ids, decoded } of cases) {
        expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids);
        expect(tokenizer.decode(ids), JSON.stringify(text)).toBe(decoded);
      }
    });
  }

  it('gives the ids of SentencePiece from tokens and scores', () => {
    const tokenizer = tokenizerFromGguf(sentencePieceMetadata());
    for (const { text, ids, decoded } of tinySentencePiece.encodings) {
      expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids);
      expect(tokenizer.decode(ids), JSON.stringify(text)).toBe(decoded);
    }
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId, tokenizer.unkTokenId]).toEqual([1, 2, 0]);
    expect(tokenizer.encode('Hello', { addSpecialTokens: true })[0]).toBe(1);
    expect(tokenizer.encode('Hello')[0]).not.toBe(1);
  });

  it('orders merges by score, then by length, as transformers does', () => {
    const tokens = ['a', 'b', 'c', 'ab', 'bc', 'abc'];
    expect(mergesFromScores(tokens, [0, 0, 0, -2, -1, -3])).toEqual([
      ['b', 'c'],
      ['a', 'b'],
      ['ab', 'c'],
      ['a', 'bc'],
    ]);
  });

  it('takes special ids, stop tokens and vocabulary size from the metadata', () => {
    const tokenizer = chatmlTokenizer();
    expect(tokenizer).toMatchObject({ bosTokenId: 1, eosTokenId: 2, padTokenId: 2, unkTokenId: 0 });
    expect(tokenizer.vocabSize).toBe(tinyByteLevel.tokens.length);
    expect(tokenizer.stopTokenIds).toEqual([2]);
    expect(endOfTurnTokenId(tokenizer)).toBe(2);
    expect([...tokenizer.specialTokenIds]).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(tokenizer.decode([1, 2, 999_999], { skipSpecialTokens: true })).toBe('');
    const eom = tokenizerFromGguf(byteLevelMetadata('llama-bpe', { 'tokenizer.ggml.eot_token_id': 6n }));
    expect(eom.stopTokenIds).toEqual([2, 6]);
  });

  it('adds a beginning of sequence where the way of splitting implies it', () => {
    const metadata = byteLevelMetadata('llama-bpe');
    delete metadata['tokenizer.ggml.add_bos_token'];
    expect(tokenizerFromGguf(metadata).encode('a', { addSpecialTokens: true })[0]).toBe(1);
    expect(tokenizerFromGguf(metadata).encode('a')[0]).not.toBe(1);
  });

  it('refuses what it does not know, by name', () => {
    expect(() => tokenizerFromGguf(byteLevelMetadata('viking'))).toThrow(
      /"viking"; expected one of default, gpt-2/,
    );
    expect(() => tokenizerFromGguf(byteLevelMetadata('constructor'))).toThrow(CheckpointError);
    expect(() => tokenizerFromGguf({ ...byteLevelMetadata(), 'tokenizer.ggml.model': 't5' })).toThrow(/"t5"/);
    expect(() => tokenizerFromGguf({ 'tokenizer.ggml.model': 'gpt2' })).toThrow(/tokenizer\.ggml\.tokens/);
    expect(() => tokenizerFromGguf(sentencePieceMetadata({ 'tokenizer.ggml.scores': [1] }))).toThrow(
      /got 1\./,
    );
  });

  describe.skipIf(!smollm2)('of SmolLM2 (set PERSONA_DPO_SMOLLM2_GGUF to the file)', () => {
    it('gives the ids of the reference library', () => {
      const { metadata, weights } = openGguf(smollm2 as string);
      weights.close();
      const tokenizer = tokenizerFromGguf(metadata);
      expect(tokenizer.chatTemplate?.source).toBe(SMOLLM2_TEMPLATE);
      for (const { text, ids, decoded } of readGolden<EncodingCase[]>('smollm2-encodings.json')) {
        expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids);
        expect(tokenizer.decode(ids), JSON.stringify(text)).toBe(decoded);
      }
    });
  });
});

describe.skipIf(!referenceDir)(
  'tokenizer.json (set PERSONA_DPO_REFERENCE_DIR to the reference folder)',
  () => {
    it('gives the reference ids, and the same ids again through GGUF metadata', () => {
      const folder = join(referenceDir as string, 'data/tokenizers');
      const tokenizer = loadTokenizer(folder);
      const { model } = JSON.parse(readFileSync(join(folder, 'tokenizer.json'), 'utf8'));
      const tokens: string[] = [];
      for (const [token, id] of Object.entries(model.vocab)) tokens[id as number] = token;
      const fromGguf = tokenizerFromGguf({
        'tokenizer.ggml.model': 'gpt2',
        'tokenizer.ggml.pre': 'llama-bpe',
        'tokenizer.ggml.tokens': tokens,
        'tokenizer.ggml.merges': model.merges.map((merge: string | string[]) => [merge].flat().join(' ')),
        'tokenizer.ggml.add_bos_token': false,
      });
      const lines = readFileSync(join(folder, 'reference_ids.jsonl'), 'utf8').split('\n');
      const cases = lines.filter(Boolean).map((line) => JSON.parse(line) as EncodingCase);
      expect(cases).toHaveLength(73);
      for (const { text, ids, decoded } of cases) {
        expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids);
        expect(fromGguf.encode(text), JSON.stringify(text)).toEqual(ids);
        expect(tokenizer.decode(ids)).toBe(decoded);
      }
    });
  },
);

describe('tokenizer from a Hugging Face folder', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tokenizer-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const { tokens, merges, special } = tinyByteLevel;
  const json = (pieces: Record<string, unknown> = {}) => ({
    version: '1.0',
    added_tokens: tokens
      .slice(0, special)
      .map((content, id) => ({ id, content, special: true, normalized: false })),
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Digits', individual_digits: true },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: 'BPE', vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges },
    ...pieces,
  });
  const write = (name: string, value: unknown) =>
    writeFileSync(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value));

  it('reads tokens, template and stop tokens from the files beside tokenizer.json', () => {
    write('tokenizer.json', json());
    write('special_tokens_map.json', { bos_token: { content: '<|im_start|>' }, pad_token: '<|endoftext|>' });
    write('tokenizer_config.json', {
      eos_token: '<|im_end|>',
      pad_token: null,
      chat_template: [
        { name: 'tool_use', template: 'no' },
        { name: 'default', template: SMOLLM2_TEMPLATE },
      ],
    });
    write('generation_config.json', { eos_token_id: [2, 0] });
    const tokenizer = loadTokenizer(folder);
    expect(tokenizer).toMatchObject({ bosTokenId: 1, eosTokenId: 2, padTokenId: 0, unkTokenId: null });
    expect(tokenizer.stopTokenIds).toEqual([2, 0]);
    expect(tokenizer.chatTemplate?.source).toBe(SMOLLM2_TEMPLATE);
    for (const { text, ids } of tinyByteLevel.encodings.smollm as EncodingCase[]) {
      expect(tokenizer.encode(text)).toEqual(ids);
    }
    write('chat_template.jinja', '{{ bos_token }}x');
    expect(loadTokenizer(folder).chatTemplate?.source).toBe('{{ bos_token }}x');
    write('own.jinja', '\uFEFFown');
    expect(loadTokenizer(folder, { chatTemplateFile: join(folder, 'own.jinja') }).chatTemplate?.source).toBe(
      'own',
    );
  });

  it('has a fingerprint of what determines ids and template, not of the layout of files', () => {
    write('tokenizer.json', json());
    const before = loadTokenizer(folder).fingerprint;
    expect(before).toMatch(/^[0-9a-f]{64}$/);
    write('tokenizer.json', JSON.stringify(Object.fromEntries(Object.entries(json()).reverse()), null, 2));
    expect(loadTokenizer(folder).fingerprint).toBe(before);
    expect(loadTokenizer(folder, { variables: { enable_thinking: true } }).fingerprint).not.toBe(before);
    write('chat_template.jinja', 'changed');
    expect(loadTokenizer(folder).fingerprint).not.toBe(before);
    write('tokenizer.json', json({ normalizer: { type: 'NFC' } }));
    write('chat_template.jinja', '{{ bos_token }}x');
    expect(loadTokenizer(folder).fingerprint).not.toBe(before);
  });

  it('says what is missing or damaged', () => {
    const empty = mkdtempSync(join(tmpdir(), 'tokenizer-'));
    expect(() => loadTokenizer(empty)).toThrow(/no tokenizer\.json/);
    writeFileSync(join(empty, 'tokenizer.json'), '{');
    expect(() => loadTokenizer(empty)).toThrow(/not valid JSON/);
    writeFileSync(join(empty, 'tokenizer.json'), '{"model": {"type": "Alien"}}');
    expect(() => loadTokenizer(empty)).toThrow(CheckpointError);
    rmSync(empty, { recursive: true });
    const split = { type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithNext', invert: false };
    expect(() => createTokenizer({ name: 'x', json: json({ pre_tokenizer: split }) })).toThrow(
      /MergedWithNext/,
    );
  });
});

describe('round trips', () => {
  const tokenizers = {
    byteLevel: chatmlTokenizer(),
    sentencePiece: tokenizerFromGguf(sentencePieceMetadata()),
  };
  const anyText = fc.string({ unit: 'grapheme', maxLength: 60 });

  it('byte-level: any text comes back', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(tokenizers.byteLevel.decode(tokenizers.byteLevel.encode(text))).toBe(text);
      }),
    );
  });

  it('a continuation adds nothing before the text', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        for (const tokenizer of Object.values(tokenizers)) {
          const before = tokenizer.encode('x\n');
          // SentencePiece writes a space as U+2581, so that the character itself comes back as a space.
          const expected = tokenizer === tokenizers.byteLevel ? text : text.replaceAll('\u2581', ' ');
          expect(tokenizer.decode([...before, ...tokenizer.encodeContinuation(text)])).toBe(`x\n${expected}`);
        }
      }),
    );
  });

  it('streamed text is the decoded text, for any tokens, cut anywhere', () => {
    for (const tokenizer of Object.values(tokenizers)) {
      const id = fc.integer({ min: 0, max: tokenizer.vocabSize - 1 });
      fc.assert(
        fc.property(fc.array(id, { maxLength: 40 }), fc.boolean(), (ids, skipSpecialTokens) => {
          const decoder = createStreamDecoder(tokenizer, { skipSpecialTokens });
          const pieces = ids.map((one) => decoder.push(one));
          expect(pieces.join('') + decoder.end()).toBe(tokenizer.decode(ids, { skipSpecialTokens }));
        }),
      );
    }
  });

  it('streams no part of a character', () => {
    for (const tokenizer of Object.values(tokenizers)) {
      const decoder = createStreamDecoder(tokenizer);
      const pieces = tokenizer.encode('你🙂é').map((id) => decoder.push(id));
      expect(pieces.filter(Boolean)).toEqual(['你', '🙂', 'é']);
      expect(decoder.end()).toBe('');
    }
  });
});
