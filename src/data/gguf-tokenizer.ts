/**
 * The tokenizer of a GGUF file: its metadata hold vocabulary, merges or scores, and the name of a way to split
 * text. From these the `tokenizer.json` it was made from is built again, so that ids are the same from both.
 */
import { CheckpointError } from '../errors.js';
import {
  createTokenizer,
  type LoadTokenizerOptions,
  type Tokenizer,
  type TokenizerSource,
} from './tokenizer.js';
import { byteLevelWithoutSplit, GPT2_PATTERN, sequence, splitBy } from './tokenizer-json.js';

/** GGUF's token types. */
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;

interface PreTokenizer {
  /** Applied one after the other, each to the pieces the one before it left. */
  patterns: string[];
  /** A piece that is itself a token is taken whole, whatever the merges say. */
  ignoreMerges?: boolean;
  normalizer?: Record<string, unknown>;
  /** Whether the beginning-of-sequence token is added where the metadata do not say. */
  addBos?: boolean;
}

const CASED_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const words = (numbers: string) =>
  `${CASED_CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${numbers}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
const UPPER = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const LOWER = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';

const GPT2: PreTokenizer = { patterns: [GPT2_PATTERN] };
const SMOLLM: PreTokenizer = { patterns: ['\\p{N}', GPT2_PATTERN] };
const LLAMA3: PreTokenizer = { patterns: [words('\\p{N}{1,3}')], ignoreMerges: true, addBos: true };
// Qwen's tokenizer.json composes characters first (NFC); llama.cpp leaves that out.
const QWEN2: PreTokenizer = { patterns: [words('\\p{N}')], normalizer: { type: 'NFC' } };
const TEKKEN: PreTokenizer = {
  patterns: [
    `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+|[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  ],
  ignoreMerges: true,
  addBos: true,
};
// What llama.cpp does for files that do not name their way of splitting.
const UNNAMED: PreTokenizer = {
  patterns: ['[\\p{P}\\$\\+<=>\\^~\\|]+', GPT2_PATTERN, '\\p{N}+', '[0-9][0-9][0-9]'],
};

/** The ways to split text of the architectures that `src/models` runs, by llama.cpp's names for them. */
const PRE_TOKENIZERS: Readonly<Record<string, PreTokenizer>> = {
  default: UNNAMED,
  'gpt-2': GPT2,
  smollm: SMOLLM,
  starcoder: SMOLLM,
  refact: SMOLLM,
  'command-r': SMOLLM,
  'llama-bpe': LLAMA3,
  llama3: LLAMA3,
  'llama-v3': LLAMA3,
  qwen2: QWEN2,
  'deepseek-r1-qwen': { ...QWEN2, addBos: true },
  tekken: TEKKEN,
};

/**
 * Builds the tokenizer from GGUF metadata (`tokenizer.ggml.*`, `tokenizer.chat_template`). Models: `gpt2`
 * (byte-level BPE) and `llama` (SentencePiece BPE).
 *
 * @throws CheckpointError when metadata are missing, do not fit together, or name a tokenizer we do not have
 */
export function tokenizerFromGguf(
  metadata: Record<string, unknown>,
  options: LoadTokenizerOptions & { name?: string } = {},
): Tokenizer {
  const { name = 'the GGUF file', ...rest } = options;
  return createTokenizer(ggufTokenizerSource(metadata, name), rest);
}

/**
 * What GGUF metadata say of a tokenizer, with the `tokenizer.json` it stands for.
 *
 * @throws CheckpointError as {@link tokenizerFromGguf}
 */
export function ggufTokenizerSource(metadata: Record<string, unknown>, name: string): TokenizerSource {
  const get = (key: string) => metadata[`tokenizer.ggml.${key}`];
  const tokens = readList(get('tokens'), 'tokens', name).map(String);
  const types =
    get('token_type') === undefined ? [] : readList(get('token_type'), 'token_type', name).map(Number);
  const model = get('model');
  // SentencePiece files that do not name these have them in SentencePiece's own places.
  const usual: Record<string, number> =
    model === 'llama' ? { unknown_token_id: 0, bos_token_id: 1, eos_token_id: 2 } : {};
  const tokenAt = (key: string) => {
    const id = readId(get(key)) ?? usual[key];
    return id === undefined ? undefined : tokens[id];
  };
  const bosToken = tokenAt('bos_token_id');
  const eosToken = tokenAt('eos_token_id');
  const unkToken = tokenAt('unknown_token_id');
  const parts =
    model === 'gpt2'
      ? byteLevelParts(metadata, tokens, name)
      : model === 'llama'
        ? sentencePieceParts(metadata, tokens, unkToken, name)
        : undefined;
  if (parts === undefined) {
    throw new CheckpointError(
      `The tokenizer of ${name} is of the model ${JSON.stringify(model)}; expected "gpt2" (byte-level BPE) or "llama" ` +
        '(SentencePiece BPE).',
    );
  }
  const { addBos, addEos, ...json } = parts;
  const template = metadata['tokenizer.chat_template'];
  return {
    name,
    json: {
      version: '1.0',
      added_tokens: addedTokens(tokens, types),
      post_processor: templateProcessing(
        addBos ? bosToken : undefined,
        addEos ? eosToken : undefined,
        tokens,
      ),
      ...json,
    },
    bosToken,
    eosToken,
    padToken: tokenAt('padding_token_id'),
    unkToken,
    stopTokenIds: ['eot_token_id', 'eom_token_id']
      .map((key) => readId(get(key)))
      .filter((id) => id !== undefined),
    chatTemplate: typeof template === 'string' ? template : undefined,
  };
}

interface Parts {
  addBos: boolean;
  addEos: boolean;
  normalizer: unknown;
  pre_tokenizer: unknown;
  decoder: unknown;
  model: Record<string, unknown>;
}

function byteLevelParts(metadata: Record<string, unknown>, tokens: string[], name: string): Parts {
  const pre = metadata['tokenizer.ggml.pre'] ?? 'default';
  const rules = PRE_TOKENIZERS[String(pre)];
  if (rules === undefined || !Object.hasOwn(PRE_TOKENIZERS, String(pre))) {
    throw new CheckpointError(
      `The tokenizer of ${name} splits text in a way we do not have, "${pre}"; expected one of ` +
        `${Object.keys(PRE_TOKENIZERS).join(', ')}.`,
    );
  }
  const merges = readList(metadata['tokenizer.ggml.merges'], 'merges', name).map((merge) => {
    // A merge is two tokens with a space between; byte-level tokens hold no space themselves.
    const parts = String(merge).split(' ');
    if (parts.length !== 2) {
      throw new CheckpointError(`Expected merges of two tokens in ${name}, got ${JSON.stringify(merge)}.`);
    }
    return parts;
  });
  return {
    addBos:
      metadata['tokenizer.ggml.add_bos_token'] === undefined
        ? rules.addBos === true
        : isTrue(metadata, 'add_bos_token'),
    addEos: isTrue(metadata, 'add_eos_token'),
    normalizer: rules.normalizer ?? null,
    pre_tokenizer: sequence([...rules.patterns.map(splitBy), byteLevelWithoutSplit()]),
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: 'BPE', vocab: vocabulary(tokens), merges, ignore_merges: rules.ignoreMerges === true },
  };
}

function sentencePieceParts(
  metadata: Record<string, unknown>,
  tokens: string[],
  unkToken: string | undefined,
  name: string,
): Parts {
  const scores = readList(metadata['tokenizer.ggml.scores'], 'scores', name).map(Number);
  if (scores.length !== tokens.length) {
    throw new CheckpointError(
      `Expected a score for each of ${tokens.length} tokens in ${name}, got ${scores.length}.`,
    );
  }
  // As in llama.cpp and Llama 2's tokenizer.json: a space before each stretch of text, also after special tokens.
  const prepend = metadata['tokenizer.ggml.add_space_prefix'] !== false;
  const space = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
  const unspace = { type: 'Replace', pattern: { String: '▁' }, content: ' ' };
  return {
    addBos: metadata['tokenizer.ggml.add_bos_token'] !== false,
    addEos: isTrue(metadata, 'add_eos_token'),
    normalizer: {
      type: 'Sequence',
      normalizers: prepend ? [{ type: 'Prepend', prepend: '▁' }, space] : [space],
    },
    pre_tokenizer: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        unspace,
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(prepend ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      type: 'BPE',
      vocab: vocabulary(tokens),
      merges: mergesFromScores(tokens, scores),
      unk_token: unkToken ?? null,
      fuse_unk: true,
      byte_fallback: true,
    },
  };
}

/**
 * SentencePiece has no list of merges: it joins the neighbours that make the token with the best score. The
 * merges that do the same are all ways to cut a token into two tokens, best score first (as `transformers`
 * converts such models).
 */
export function mergesFromScores(tokens: readonly string[], scores: readonly number[]): [string, string][] {
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const merges: { left: string; right: string; score: number; lengths: [number, number] }[] = [];
  tokens.forEach((token, id) => {
    const characters = [...token];
    const cuts: [number, number, string, string][] = [];
    for (let cut = 1; cut < characters.length; cut++) {
      const left = characters.slice(0, cut).join('');
      const right = characters.slice(cut).join('');
      const [leftId, rightId] = [ids.get(left), ids.get(right)];
      if (leftId !== undefined && rightId !== undefined) cuts.push([leftId, rightId, left, right]);
    }
    cuts.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    for (const [, , left, right] of cuts) {
      const leftLength = [...left].length;
      const lengths: [number, number] = [leftLength, characters.length - leftLength];
      merges.push({ left, right, score: scores[id] as number, lengths });
    }
  });
  return merges
    .sort((a, b) => b.score - a.score || b.lengths[0] - a.lengths[0] || b.lengths[1] - a.lengths[1])
    .map(({ left, right }) => [left, right]);
}

/** Tokens that are found in a text before it is split: control tokens and those a user defined. */
function addedTokens(tokens: readonly string[], types: readonly number[]): Record<string, unknown>[] {
  return tokens.flatMap((content, id) => {
    const type = types[id];
    if (type !== CONTROL && type !== USER_DEFINED && type !== UNKNOWN) return [];
    const special = type !== USER_DEFINED;
    return [{ id, content, special, normalized: false, single_word: false, lstrip: false, rstrip: false }];
  });
}

function templateProcessing(
  bos: string | undefined,
  eos: string | undefined,
  tokens: readonly string[],
): unknown {
  if (bos === undefined && eos === undefined) return null;
  const special = (token: string) => ({ SpecialToken: { id: token, type_id: 0 } });
  const single = [
    ...(bos === undefined ? [] : [special(bos)]),
    { Sequence: { id: 'A', type_id: 0 } },
    ...(eos === undefined ? [] : [special(eos)]),
  ];
  const used = [bos, eos].filter((token) => token !== undefined);
  return {
    type: 'TemplateProcessing',
    single,
    pair: [...single, { Sequence: { id: 'B', type_id: 1 } }],
    special_tokens: Object.fromEntries(
      used.map((token) => [token, { id: token, ids: [tokens.indexOf(token)], tokens: [token] }]),
    ),
  };
}

function vocabulary(tokens: readonly string[]): Record<string, number> {
  return Object.fromEntries(tokens.map((token, id) => [token, id]));
}

function readList(value: unknown, key: string, name: string): unknown[] {
  const list = ArrayBuffer.isView(value) ? Array.from(value as unknown as ArrayLike<unknown>) : value;
  if (!Array.isArray(list) || list.length === 0) {
    throw new CheckpointError(`Expected a list in tokenizer.ggml.${key} of ${name}, got ${typeof value}.`);
  }
  return list;
}

function readId(value: unknown): number | undefined {
  const id = typeof value === 'bigint' ? Number(value) : value;
  return typeof id === 'number' && Number.isInteger(id) && id >= 0 ? id : undefined;
}

function isTrue(metadata: Record<string, unknown>, key: string): boolean {
  return metadata[`tokenizer.ggml.${key}`] === true;
}
