/**
 * Pairs of text to pairs of token ids.
 *
 * A completion's ids are exactly those the model will be asked to produce: the prompt's ids are what the model
 * is given when it generates (the conversation in its chat template, ending in the generation prompt), and the
 * completion goes on from there up to and including the end-of-turn token. What a template writes after that
 * token (a newline in ChatML) belongs to no one's answer and is left out; TRL 1.13 trains on it.
 */
import { ConfigError, DataError, PersonaDpoError } from '../errors.js';
import { type AnswerFrame, type ChatTemplate, foldSystem } from './chat-template.js';
import {
  isPreferencePair,
  isTextPair,
  type Message,
  type PairRow,
  type PreferencePair,
  pairId,
  type TextPair,
  type TokenPair,
} from './pairs.js';
import { createPersonaTemplate, withPersona } from './persona-prompt.js';
import {
  chatPrompt,
  type EncodedPrompt,
  type PromptOptions,
  renderPrompt,
  requireTemplate,
} from './prompt.js';
import { endOfTurnTokenId, type Tokenizer } from './tokenizer.js';
import { fitPair, type TruncationOptions } from './truncate.js';

export { encodePrompt, type PromptOptions } from './prompt.js';

/** A pair as token ids; `promptIds` before either response is a whole conversation. */
export interface TokenizedPair {
  id: string;
  promptIds: number[];
  chosenIds: number[];
  rejectedIds: number[];
  user?: string;
  /** By how much chosen should be ahead in the loss of a reward model. */
  margin?: number;
}

/** How pairs become token ids. */
export interface TokenizeOptions extends PromptOptions, TruncationOptions {
  /**
   * What plain strings are. `raw`: text that goes on, as in TRL, with an end-of-sequence token after it.
   * `chat`: a user's message and its answer. `auto`: `chat` for a pair with a persona (which enters as a system
   * message), else `raw`. Default `auto`.
   */
  plainText?: 'auto' | 'raw' | 'chat';
}

export type TokenizeOutcome =
  | {
      ok: true;
      pair: TokenizedPair;
      promptCut: boolean;
      completionCut: boolean;
      /** Responses (0 to 2) whose first token would have merged with the prompt's last one. */
      boundaryMerges: number;
    }
  | { ok: false; reason: string };

export interface TokenizePairsResult {
  tokenized: TokenizedPair[];
  /** In order of the input; `index` counts from 0 in it. */
  dropped: { id: string; index: number; reason: string }[];
  /** How many pairs were shortened: their prompt, or (also) a completion. */
  truncated: { prompts: number; completions: number };
  /** Responses tokenized by themselves because their first token would have merged with the prompt's last. */
  boundaryMerges: number;
}

/** Tokenizes pairs in order; what cannot be used is listed with its reason, and the counts add up. */
export function tokenizePairs(
  pairs: Iterable<PairRow>,
  tokenizer: Tokenizer,
  options: TokenizeOptions = {},
): TokenizePairsResult {
  const fixed = { ...options, personaTemplate: options.personaTemplate ?? createPersonaTemplate() };
  const result: TokenizePairsResult = {
    tokenized: [],
    dropped: [],
    truncated: { prompts: 0, completions: 0 },
    boundaryMerges: 0,
  };
  let index = 0;
  for (const pair of pairs) {
    const outcome = tokenizePair(pair, tokenizer, fixed);
    if (outcome.ok) {
      result.tokenized.push(outcome.pair);
      result.truncated.prompts += outcome.promptCut ? 1 : 0;
      result.truncated.completions += outcome.completionCut ? 1 : 0;
      result.boundaryMerges += outcome.boundaryMerges;
    } else {
      result.dropped.push({ id: pairId(pair), index, reason: outcome.reason });
    }
    index++;
  }
  return result;
}

/**
 * One pair as token ids: `promptIds` followed by `chosenIds` (or `rejectedIds`) is the whole conversation.
 *
 * Where the tokenizer would merge the response's beginning with the prompt's end, the prompt keeps its ids
 * (the model is given them before it answers) and the response is tokenized by itself.
 *
 * @returns the reason when the pair cannot be used: the template alters or refuses its messages, a response
 *   holds the text of the end-of-turn token, or nothing of a response is left after truncation
 * @throws ConfigError when the model has no chat template and one is needed
 */
export function tokenizePair(
  pair: PairRow,
  tokenizer: Tokenizer,
  options: TokenizeOptions = {},
): TokenizeOutcome {
  try {
    const encoded = encodePair(pair, tokenizer, options);
    const fitted = fitPair(encoded, options);
    return {
      ok: true,
      pair: {
        id: pairId(pair),
        promptIds: fitted.promptIds,
        chosenIds: fitted.chosenIds,
        rejectedIds: fitted.rejectedIds,
        ...(pair.user === undefined ? {} : { user: pair.user }),
        ...(pair.margin === undefined ? {} : { margin: pair.margin }),
      },
      promptCut: fitted.promptCut,
      completionCut: fitted.completionCut,
      boundaryMerges: encoded.boundaryMerges,
    };
  } catch (error) {
    if (error instanceof PersonaDpoError && !(error instanceof ConfigError)) {
      return { ok: false, reason: error.message };
    }
    throw error;
  }
}

/** A pair before truncation. */
export interface EncodedPair {
  prompt: EncodedPrompt;
  chosenIds: number[];
  rejectedIds: number[];
  boundaryMerges: number;
}

function encodePair(pair: PairRow, tokenizer: Tokenizer, options: TokenizeOptions): EncodedPair {
  if (isPreferencePair(pair)) return encodeChat(pair, tokenizer, options);
  if (!isTextPair(pair)) return checkIds(pair, tokenizer);
  const { plainText = 'auto' } = options;
  if (plainText === 'raw' || (plainText === 'auto' && pair.persona === undefined))
    return encodeText(pair, tokenizer);
  const { promptText, chosenText, rejectedText, ...context } = pair;
  return encodeChat(
    {
      ...context,
      prompt: [{ role: 'user', content: promptText }],
      chosen: [{ role: 'assistant', content: chosenText }],
      rejected: [{ role: 'assistant', content: rejectedText }],
    },
    tokenizer,
    options,
  );
}

function encodeChat(pair: PreferencePair, tokenizer: Tokenizer, options: TokenizeOptions): EncodedPair {
  const template = requireTemplate(tokenizer);
  const messages = withPersona(pair.prompt, pair.persona, options.personaTemplate);
  const promptText = renderPrompt(messages, template);
  const prompt = chatPrompt(messages, promptText, tokenizer, template);
  const responses = [pair.chosen, pair.rejected].map((response) => {
    const text = answerText(messages, promptText, response, template, tokenizer);
    return encodeAfter(promptText, prompt.ids, text, tokenizer);
  });
  const [chosen, rejected] = responses as [Continuation, Continuation];
  const endOfTurn = endOfTurnTokenId(tokenizer);
  return {
    prompt,
    chosenIds: endAnswer(chosen.ids, endOfTurn, 'chosen', tokenizer),
    rejectedIds: endAnswer(rejected.ids, endOfTurn, 'rejected', tokenizer),
    boundaryMerges: Number(chosen.merged) + Number(rejected.merged),
  };
}

/** What the template makes of an answer to `messages`, up to and including its end-of-turn token. */
function answerText(
  messages: readonly Message[],
  promptText: string,
  response: readonly Message[],
  template: ChatTemplate,
  tokenizer: Tokenizer,
): string {
  const frame = template.answerFrame();
  const whole = template.render(foldSystem([...messages, ...response], template));
  const end = endOfTurnText(frame, tokenizer);
  const content = (response[0] as Message).content;
  if (whole.startsWith(promptText) && whole.length > promptText.length && whole.endsWith(frame.end)) {
    const shown = whole.slice(promptText.length, whole.length - frame.end.length);
    if (![content, frame.lead + content].some((text) => sameWords(text, shown))) {
      throw new DataError(
        `The chat template changes this answer from ${quote(content)} to ${quote(shown)}; with a reasoning trace in ` +
          'it, train on the part after the trace.',
      );
    }
    return shown + end;
  }
  // Some templates write the prompt differently once it is answered (Mistral Nemo's leaves the system message
  // out). The answer itself is the same, so it may follow the prompt that the model is really given.
  const answer = frame.lead + (frame.trims ? content.trim() : content);
  const before = whole.slice(0, whole.length - answer.length - frame.end.length);
  if (whole.endsWith(answer + frame.end) && before.endsWith(frame.generationPrompt)) return answer + end;
  throw new DataError(
    `The chat template does not show this answer where the prompt ends, after ${quote(promptText.slice(-40))}; for ` +
      'answers with a reasoning trace set the template variable enable_thinking to true.',
  );
}

/** Templates may change the white space in an answer, not its words. */
function sameWords(a: string, b: string): boolean {
  return a.replace(/\s+/g, '') === b.replace(/\s+/g, '');
}

function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text);
}

/** The text after an answer up to the first special token in it; all but white space where there is none. */
function endOfTurnText(frame: AnswerFrame, tokenizer: Tokenizer): string {
  const id = endOfTurnTokenId(tokenizer);
  const token = id === null ? undefined : tokenizer.idToToken(id);
  return token === undefined
    ? frame.end.trimEnd()
    : frame.end.slice(0, frame.end.indexOf(token) + token.length);
}

function endAnswer(ids: number[], endOfTurn: number | null, which: string, tokenizer: Tokenizer): number[] {
  if (endOfTurn === null) {
    // The template marks the end of an answer with words or not at all: the model still has to stop.
    if (tokenizer.eosTokenId === null) {
      throw new ConfigError(
        'Neither the chat template nor the tokenizer has a token that ends an answer; expected an eos_token.',
      );
    }
    return ids.at(-1) === tokenizer.eosTokenId ? ids : [...ids, tokenizer.eosTokenId];
  }
  if (ids.indexOf(endOfTurn) !== ids.length - 1) {
    throw new DataError(
      `The ${which} answer holds the text of the end-of-turn token ${tokenizer.idToToken(endOfTurn)}; expected it once, at the end.`,
    );
  }
  return ids;
}

function encodeText(pair: TextPair, tokenizer: Tokenizer): EncodedPair {
  const { bosTokenId, eosTokenId } = tokenizer;
  if (eosTokenId === null) {
    throw new ConfigError('Plain text needs a token that ends it; the tokenizer has no eos_token.');
  }
  const plain = tokenizer.encode(pair.promptText);
  const starts = bosTokenId !== null && tokenizer.encode('', { addSpecialTokens: true })[0] === bosTokenId;
  const bos = starts && plain[0] !== bosTokenId ? [bosTokenId] : [];
  const promptIds = [...bos, ...plain];
  if (promptIds.length === 0) throw new DataError('The prompt has no tokens.');
  const encode = (text: string): Continuation => {
    const { ids, merged } = encodeAfter(pair.promptText, plain, text, tokenizer);
    return { ids: ids.at(-1) === eosTokenId ? ids : [...ids, eosTokenId], merged };
  };
  const [chosen, rejected] = [encode(pair.chosenText), encode(pair.rejectedText)];
  return {
    prompt: plainPrompt(promptIds, tokenizer),
    chosenIds: chosen.ids,
    rejectedIds: rejected.ids,
    boundaryMerges: Number(chosen.merged) + Number(rejected.merged),
  };
}

function checkIds(pair: TokenPair, tokenizer: Tokenizer): EncodedPair {
  const { promptIds, chosenIds, rejectedIds } = pair;
  for (const [key, ids] of Object.entries({ promptIds, chosenIds, rejectedIds })) {
    if (ids.length === 0) throw new DataError(`Expected token ids in ${key}, got none.`);
    const bad = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= tokenizer.vocabSize);
    if (bad !== undefined) {
      throw new DataError(`Expected token ids from 0 to ${tokenizer.vocabSize - 1} in ${key}, got ${bad}.`);
    }
  }
  return { prompt: plainPrompt(promptIds, tokenizer), chosenIds, rejectedIds, boundaryMerges: 0 };
}

/** A prompt without messages: only its beginning-of-sequence token is kept from truncation. */
function plainPrompt(ids: number[], tokenizer: Tokenizer): EncodedPrompt {
  const head = ids[0] === tokenizer.bosTokenId ? 1 : 0;
  return { ids, edges: () => ({ head, tail: 0 }), shorten: () => null };
}

interface Continuation {
  ids: number[];
  merged: boolean;
}

/**
 * The ids of `text` after a prompt. Tokenizers cut a text at special tokens before anything else, so only what
 * follows the prompt's last one can merge with the text, and only that is tokenized again.
 */
function encodeAfter(
  promptText: string,
  promptIds: readonly number[],
  text: string,
  tokenizer: Tokenizer,
): Continuation {
  const { ids: tailIds, text: tailText } = afterLastSpecial(promptText, promptIds, tokenizer);
  const whole = tokenizer.encode(tailText + text);
  const prefix = whole.length > tailIds.length && tailIds.every((id, index) => whole[index] === id);
  return prefix
    ? { ids: whole.slice(tailIds.length), merged: false }
    : { ids: tokenizer.encodeContinuation(text), merged: text !== '' };
}

/** The prompt from its last special token on; all of it where there is none. */
function afterLastSpecial(text: string, ids: readonly number[], tokenizer: Tokenizer) {
  const last = ids.findLastIndex((id) => tokenizer.specialTokenIds.has(id));
  const token = last === -1 ? undefined : tokenizer.idToToken(ids[last] as number);
  const start = token === undefined ? -1 : text.lastIndexOf(token);
  return start === -1 ? { ids, text } : { ids: ids.slice(last), text: text.slice(start) };
}
