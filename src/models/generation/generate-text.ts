/** Generation at the level of text: conversations in, answers out, streamed as whole characters. */

import type { Message } from '../../data/pairs.js';
import { encodePrompt } from '../../data/prompt.js';
import { createStreamDecoder, type StreamDecoder } from '../../data/stream-decoder.js';
import type { Tokenizer } from '../../data/tokenizer.js';
import { ConfigError } from '../../errors.js';
import type { LanguageModel } from '../language-model.js';
import { type Completion, generateEvents, type SampleKey } from './generate.js';
import type { GenerateOptions } from './options.js';
import { createStopText, type StopText } from './stop-text.js';

/**
 * What to go on from: a conversation (put into the model's chat template), a text (as it is, behind the tokenizer's
 * beginning-of-sequence token where it has one), or token ids.
 */
export type TextPrompt = readonly Message[] | string | readonly number[];

export interface GenerateTextOptions extends GenerateOptions {
  /** Texts that end a sample, wherever they fall among its tokens; they are not part of its text. Default none. */
  stop?: readonly string[];
  /** Whether special tokens are left out of the text. Default true. */
  skipSpecialTokens?: boolean;
}

/** One finished answer. */
export interface TextCompletion extends Completion {
  /** Without the stop token and what follows a stop string; `ids` has both. */
  text: string;
  /** The stop string that ended it, if one did. */
  stopString: string | null;
}

/** What `generateStream` gives: a piece of text, or a finished answer. */
export type TextEvent =
  | (SampleKey & { type: 'text'; text: string })
  | { type: 'end'; completion: TextCompletion };

interface TextSample {
  decoder: StreamDecoder;
  stops: StopText;
  text: string;
  stopString: string | null;
}

/**
 * Samples answers and gives their text as it comes: whole characters only, and nothing that may yet turn out to
 * belong to a stop string. The pieces of a sample, joined, are its `text`.
 *
 * Stop tokens are, unless given, the model's and the tokenizer's (end of sequence, end of turn).
 *
 * @throws ConfigError for an option out of range, an empty stop string, or a conversation without a chat template;
 * else as {@link generateEvents}
 */
export async function* streamText(
  model: LanguageModel,
  tokenizer: Tokenizer,
  prompts: readonly TextPrompt[],
  { stop = [], skipSpecialTokens = true, ...options }: GenerateTextOptions = {},
): AsyncGenerator<TextEvent, void, void> {
  if (stop.includes('')) throw new ConfigError('A stop string must not be empty.');
  const stopTokenIds = options.stopTokenIds ?? [...model.config.eosTokenIds, ...tokenizer.stopTokenIds];
  const stopTokens = new Set(stopTokenIds);
  const ids = prompts.map((prompt) => promptIds(prompt, tokenizer));
  const samples = new Map<string, TextSample>();
  const sampleOf = ({ prompt, sample }: SampleKey): TextSample => {
    const key = `${prompt} ${sample}`;
    const known = samples.get(key);
    if (known !== undefined) return known;
    const decoder = createStreamDecoder(tokenizer, { skipSpecialTokens });
    const made = { decoder, stops: createStopText(stop), text: '', stopString: null };
    samples.set(key, made);
    return made;
  };

  for await (const event of generateEvents(model, ids, { ...options, stopTokenIds })) {
    if (event.type === 'token') {
      if (stopTokens.has(event.id)) continue;
      const sample = sampleOf(event);
      const text = take(sample, sample.decoder.push(event.id));
      if (sample.stopString !== null) event.stop();
      if (text !== '') yield { type: 'text', prompt: event.prompt, sample: event.sample, text };
    } else {
      const { completion } = event;
      const sample = sampleOf(completion);
      const { prompt, sample: number } = completion;
      const text = finish(sample);
      if (text !== '') yield { type: 'text', prompt, sample: number, text };
      samples.delete(`${prompt} ${number}`);
      const finishReason = sample.stopString === null ? completion.finishReason : 'stop';
      const { text: whole, stopString } = sample;
      yield { type: 'end', completion: { ...completion, finishReason, text: whole, stopString } };
    }
  }
}

/** Options of `generate`: sampling, samples of each prompt, stop texts. */
export interface GenerateAllTextOptions extends GenerateTextOptions {
  /** Called with each piece of text as it comes. */
  onText?: (piece: SampleKey & { text: string }) => void;
}

/** Samples answers: for each prompt, its samples in order. See {@link streamText}. */
export async function generateText(
  model: LanguageModel,
  tokenizer: Tokenizer,
  prompts: readonly TextPrompt[],
  { onText, ...options }: GenerateAllTextOptions = {},
): Promise<TextCompletion[][]> {
  const completions: TextCompletion[][] = prompts.map(() => []);
  for await (const event of streamText(model, tokenizer, prompts, options)) {
    if (event.type === 'text') onText?.({ prompt: event.prompt, sample: event.sample, text: event.text });
    else completions[event.completion.prompt]![event.completion.sample] = event.completion;
  }
  return completions;
}

function promptIds(prompt: TextPrompt, tokenizer: Tokenizer): readonly number[] {
  if (typeof prompt === 'string') return tokenizer.encode(prompt, { addSpecialTokens: true });
  return isConversation(prompt) ? encodePrompt(prompt, tokenizer) : prompt;
}

function isConversation(prompt: readonly Message[] | readonly number[]): prompt is readonly Message[] {
  return typeof prompt[0] === 'object';
}

/** Adds a piece; returns what of the sample's text has become certain. */
function take(sample: TextSample, piece: string): string {
  if (sample.stopString !== null) return '';
  const { text, stop } = sample.stops.push(piece);
  sample.text += text;
  sample.stopString = stop;
  return text;
}

function finish(sample: TextSample): string {
  const last = take(sample, sample.decoder.end());
  if (sample.stopString !== null) return last;
  const held = sample.stops.end();
  sample.text += held;
  return last + held;
}
