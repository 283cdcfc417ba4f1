import { readFileSync } from 'node:fs';
import { tokenizerFromGguf } from '../../src/data/gguf-tokenizer.js';
import { createTokenizer, type LoadTokenizerOptions, type Tokenizer } from '../../src/data/tokenizer.js';

/** Folder with reference values and real data; the tests that read it are skipped without. */
export const referenceDir = process.env.PERSONA_DPO_REFERENCE_DIR;

export interface EncodingCase {
  text: string;
  ids: number[];
  decoded: string;
}

interface TinyByteLevel {
  tokens: string[];
  merges: string[];
  special: number;
  encodings: Record<string, EncodingCase[]>;
}

interface TinySentencePiece {
  tokens: string[];
  scores: number[];
  types: number[];
  encodings: EncodingCase[];
}

export function readGolden<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../golden/data/${name}`, import.meta.url), 'utf8')) as T;
}

export const tinyByteLevel = readGolden<TinyByteLevel>('tiny-bytelevel.json');
export const tinySentencePiece = readGolden<TinySentencePiece>('tiny-sentencepiece.json');

/** SmolLM2's chat template, as its GGUF file has it (Apache-2.0). */
export const SMOLLM2_TEMPLATE =
  "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/** Llama 2's frame: the generation prompt is the end of the user's turn, answers have spaces around them. */
export const LLAMA2_TEMPLATE =
  "{% for message in messages %}{% if message['role'] == 'system' %}{{ raise_exception('no system role') }}{% elif message['role'] == 'user' %}{{ bos_token + '[INST] ' + message['content'].strip() + ' [/INST]' }}{% else %}{{ ' ' + message['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}";

export function byteLevelMetadata(
  pre = 'smollm',
  extra: Record<string, unknown> = {},
): Record<string, unknown> {
  const { tokens, merges, special } = tinyByteLevel;
  return {
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': pre,
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.token_type': tokens.map((_, id) => (id < special ? 3 : 1)),
    'tokenizer.ggml.merges': merges,
    'tokenizer.ggml.bos_token_id': 1,
    'tokenizer.ggml.eos_token_id': 2,
    'tokenizer.ggml.unknown_token_id': 0,
    'tokenizer.ggml.padding_token_id': 2,
    'tokenizer.ggml.add_bos_token': false,
    'tokenizer.chat_template': SMOLLM2_TEMPLATE,
    ...extra,
  };
}

export function sentencePieceMetadata(extra: Record<string, unknown> = {}): Record<string, unknown> {
  const { tokens, scores, types } = tinySentencePiece;
  return {
    'tokenizer.ggml.model': 'llama',
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.scores': scores,
    'tokenizer.ggml.token_type': types,
    'tokenizer.chat_template': LLAMA2_TEMPLATE,
    ...extra,
  };
}

export function chatmlTokenizer(options: LoadTokenizerOptions = {}): Tokenizer {
  return tokenizerFromGguf(byteLevelMetadata(), options);
}

/** The tiny byte-level tokenizer with another chat template, and Llama 3's special tokens where it needs them. */
export function tokenizerWithTemplate(template: string, options: LoadTokenizerOptions = {}): Tokenizer {
  const llama3 = template.includes('<|start_header_id|>');
  return tokenizerFromGguf(
    byteLevelMetadata(llama3 ? 'llama-bpe' : 'qwen2', {
      'tokenizer.chat_template': template,
      ...(llama3 ? { 'tokenizer.ggml.bos_token_id': 3, 'tokenizer.ggml.eos_token_id': 6 } : {}),
    }),
    options,
  );
}

export function isSubsequence(part: readonly number[], whole: readonly number[]): boolean {
  let at = 0;
  for (const id of whole) if (id === part[at]) at++;
  return at === part.length;
}

export { createTokenizer };
