/** Text to token ids and back, by `@huggingface/tokenizers`, from a Hugging Face folder. GGUF: `gguf-tokenizer.ts`. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer as HubTokenizer } from '@huggingface/tokenizers';
import { CheckpointError, DataError } from '../errors.js';
import { type ChatTemplate, type ChatTemplateOptions, createChatTemplate } from './chat-template.js';
import { readTemplateFile } from './jinja.js';
import { normalizeTokenizerJson } from './tokenizer-json.js';

export interface EncodeOptions {
  /** Adds what the tokenizer puts around a text, mostly the beginning-of-sequence token. Default false. */
  addSpecialTokens?: boolean;
}

export interface DecodeOptions {
  /** Default false. */
  skipSpecialTokens?: boolean;
}

/** A model's tokenizer with its chat template and special tokens. */
export interface Tokenizer {
  /** Largest token id plus one; a model's vocabulary may be padded to more. */
  readonly vocabSize: number;
  readonly bosTokenId: number | null;
  readonly eosTokenId: number | null;
  readonly padTokenId: number | null;
  readonly unkTokenId: number | null;
  /** Tokens that end an answer: end of sequence, the generation config's, and the chat template's end of turn. */
  readonly stopTokenIds: readonly number[];
  readonly specialTokenIds: ReadonlySet<number>;
  /** The model's chat template, or the one given in its place; null when there is none. */
  readonly chatTemplate: ChatTemplate | null;
  /** SHA-256 of everything that determines ids and template, in hex; the same for the same files anywhere. */
  readonly fingerprint: string;
  encode(text: string, options?: EncodeOptions): number[];
  /** Ids of a text that goes on after other tokens: no beginning-of-sequence token and no space put before it. */
  encodeContinuation(text: string): number[];
  /** The text of the tokens, exactly; ids that no token has are left out. */
  decode(ids: Iterable<number>, options?: DecodeOptions): string;
  tokenToId(token: string): number | undefined;
  idToToken(id: number): string | undefined;
}

/** Another chat template, and what templates are told. */
export interface LoadTokenizerOptions extends Pick<ChatTemplateOptions, 'variables' | 'now'> {
  /** A Jinja file to use in place of the model's own chat template. */
  chatTemplateFile?: string;
}

/** What is needed to build a tokenizer, wherever it comes from. */
export interface TokenizerSource {
  /** For messages: the folder or file it comes from. */
  name: string;
  /** The content of `tokenizer.json`. */
  json: Record<string, unknown>;
  bosToken?: string | undefined;
  eosToken?: string | undefined;
  padToken?: string | undefined;
  unkToken?: string | undefined;
  stopTokenIds?: readonly number[];
  chatTemplate?: string | undefined;
}

/**
 * The tokenizer of a Hugging Face model folder: `tokenizer.json` with `tokenizer_config.json`,
 * `special_tokens_map.json`, `chat_template.jinja` or `chat_template.json`, and `generation_config.json` where
 * they exist.
 *
 * @throws CheckpointError when a file is missing or damaged
 */
export function loadTokenizer(folder: string, options: LoadTokenizerOptions = {}): Tokenizer {
  const json = readJson(folder, 'tokenizer.json');
  if (json === undefined) {
    throw new CheckpointError(
      `There is no tokenizer.json in ${folder}. A model with only tokenizer.model (SentencePiece) can be converted ` +
        'with transformers: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER).',
    );
  }
  const config = {
    ...readJson(folder, 'special_tokens_map.json'),
    ...withoutNulls(readJson(folder, 'tokenizer_config.json') ?? {}),
  };
  const eosIds = readJson(folder, 'generation_config.json')?.eos_token_id;
  return createTokenizer(
    {
      name: folder,
      json,
      bosToken: tokenText(config.bos_token),
      eosToken: tokenText(config.eos_token),
      padToken: tokenText(config.pad_token),
      unkToken: tokenText(config.unk_token),
      stopTokenIds: [eosIds].flat().filter((id): id is number => Number.isInteger(id)),
      chatTemplate: folderTemplate(folder, config.chat_template),
    },
    options,
  );
}

/** @throws CheckpointError when the tokenizer is damaged or of a kind that is not supported */
export function createTokenizer(source: TokenizerSource, options: LoadTokenizerOptions = {}): Tokenizer {
  const json = normalizeTokenizerJson(source.json, source.name);
  const hub = buildHub(json, source.name);
  const specialTokenIds = new Set<number>();
  for (const [id, { special }] of hub.get_added_tokens_decoder()) if (special) specialTokenIds.add(id);
  const idOf = (token: string | undefined) => (token === undefined ? null : (hub.token_to_id(token) ?? null));
  const [bosTokenId, eosTokenId, padTokenId, unkTokenId] = [
    idOf(source.bosToken),
    idOf(source.eosToken),
    idOf(source.padToken),
    idOf(source.unkToken),
  ];
  for (const id of [bosTokenId, eosTokenId, padTokenId, unkTokenId]) if (id !== null) specialTokenIds.add(id);
  let vocabSize = 0;
  for (const id of hub.get_vocab(true).values()) vocabSize = Math.max(vocabSize, id + 1);

  const templateSource =
    options.chatTemplateFile === undefined
      ? source.chatTemplate
      : readTemplateFile(options.chatTemplateFile, 'chat template');
  const chatTemplate =
    templateSource === undefined
      ? null
      : createChatTemplate(templateSource, {
          ...(source.bosToken === undefined ? {} : { bosToken: source.bosToken }),
          ...(source.eosToken === undefined ? {} : { eosToken: source.eosToken }),
          ...(options.variables === undefined ? {} : { variables: options.variables }),
          ...(options.now === undefined ? {} : { now: options.now }),
        });

  const encode = (text: string, { addSpecialTokens = false }: EncodeOptions = {}): number[] =>
    text === '' && !addSpecialTokens ? [] : hub.encode(text, { add_special_tokens: addSpecialTokens }).ids;
  const anchor = putsSpaceBefore(json) ? '\n' : '';
  const anchorIds = encode(anchor);
  let fingerprint: string | undefined;
  let stopTokenIds: number[] | undefined;

  const tokenizer: Tokenizer = {
    vocabSize,
    bosTokenId,
    eosTokenId,
    padTokenId,
    unkTokenId,
    specialTokenIds,
    chatTemplate,
    get stopTokenIds() {
      stopTokenIds ??= [
        ...new Set(
          [eosTokenId, ...(source.stopTokenIds ?? []), endOfTurnTokenId(tokenizer)].filter(
            (id) => id !== null,
          ),
        ),
      ];
      return stopTokenIds;
    },
    get fingerprint() {
      fingerprint ??= createHash('sha256')
        .update(
          canonicalJson({
            json,
            tokens: [bosTokenId, eosTokenId, padTokenId, unkTokenId],
            template: chatTemplate?.source ?? null,
            variables: chatTemplate?.variables ?? null,
          }),
        )
        .digest('hex');
      return fingerprint;
    },
    encode,
    encodeContinuation(text) {
      // A tokenizer that puts a space before every text puts it before the anchor, which is then cut off.
      const ids = encode(anchor + text);
      if (!anchorIds.every((id, index) => ids[index] === id)) {
        throw new DataError(
          `The tokenizer cannot encode ${JSON.stringify(text.slice(0, 40))} as a continuation.`,
        );
      }
      return ids.slice(anchorIds.length);
    },
    decode(ids, { skipSpecialTokens = false } = {}) {
      const known = [...ids].filter(
        (id) => hub.id_to_token(id) !== undefined && !(skipSpecialTokens && specialTokenIds.has(id)),
      );
      return known.length === 0 ? '' : hub.decode(known, { clean_up_tokenization_spaces: false });
    },
    tokenToId: (token) => hub.token_to_id(token),
    idToToken: (id) => hub.id_to_token(id),
  };
  return tokenizer;
}

/** The first special token after an answer in the chat template; null when there is none. */
export function endOfTurnTokenId(tokenizer: Tokenizer): number | null {
  if (tokenizer.chatTemplate === null) return null;
  let end: string;
  try {
    end = tokenizer.chatTemplate.answerFrame().end;
  } catch (error) {
    // A template that cannot show an answer still serves for prompts; tokenizing a pair says what is wrong.
    if (error instanceof DataError) return null;
    throw error;
  }
  return tokenizer.encodeContinuation(end).find((id) => tokenizer.specialTokenIds.has(id)) ?? null;
}

function buildHub(json: Record<string, unknown>, name: string): HubTokenizer {
  try {
    const hub = new HubTokenizer(json, {});
    keepByteOrderMarks(hub.decoder);
    return hub;
  } catch (error) {
    throw new CheckpointError(`The tokenizer of ${name} cannot be used: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** The library's decoder of byte tokens drops U+FEFF, which is text like any other here. */
function keepByteOrderMarks(decoder: unknown): void {
  const node = decoder as { decoders?: unknown[]; text_decoder?: InstanceType<typeof TextDecoder> } | null;
  node?.decoders?.forEach(keepByteOrderMarks);
  if (node?.text_decoder !== undefined) node.text_decoder = new TextDecoder('utf-8', { ignoreBOM: true });
}

function putsSpaceBefore(json: Record<string, unknown>): boolean {
  const text = JSON.stringify([json.normalizer ?? null, json.pre_tokenizer ?? null]);
  return /"type":"(Prepend|Metaspace)"|"add_prefix_space":true/.test(text);
}

function readJson(folder: string, file: string): Record<string, unknown> | undefined {
  const path = join(folder, file);
  if (!existsSync(path)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new CheckpointError(`${path} is not valid JSON: ${(error as Error).message}`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new CheckpointError(
      `Expected a JSON object in ${path}, got ${JSON.stringify(value)?.slice(0, 60)}.`,
    );
  }
  return value as Record<string, unknown>;
}

function withoutNulls(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null));
}

/** A token is written as its text, or as an object with its text in `content`. */
function tokenText(value: unknown): string | undefined {
  const text = typeof value === 'object' && value !== null ? (value as { content?: unknown }).content : value;
  return typeof text === 'string' ? text : undefined;
}

function folderTemplate(folder: string, inConfig: unknown): string | undefined {
  const jinja = join(folder, 'chat_template.jinja');
  if (existsSync(jinja)) return readFileSync(jinja, 'utf8');
  const value = readJson(folder, 'chat_template.json')?.chat_template ?? inConfig;
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return undefined;
  // Several templates by name: the one named "default" is for conversations.
  const named = value as { name?: unknown; template?: unknown }[];
  const chosen = named.find(({ name }) => name === 'default') ?? named[0];
  return typeof chosen?.template === 'string' ? chosen.template : undefined;
}

/** JSON with sorted keys: the same text for the same content, however the file was laid out. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
