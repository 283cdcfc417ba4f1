/** Answers from a loaded model: what a program wants that does not think in token ids. */

import { ConfigError } from '../errors.js';
import {
  type GenerateAllTextOptions,
  generateText,
  streamText,
  type TextCompletion,
  type TextEvent,
  type TextPrompt,
} from './generation/generate-text.js';
import type { LoadedModel } from './load-model.js';

/**
 * Samples answers to prompts: conversations, texts to go on from, or token ids.
 *
 * @returns for each prompt its samples, in order
 * @throws ConfigError for options out of range and models without a tokenizer
 */
export function generate(
  loaded: LoadedModel,
  prompts: readonly TextPrompt[],
  options: GenerateAllTextOptions = {},
): Promise<TextCompletion[][]> {
  return generateText(loaded.model, tokenizerOf(loaded), prompts, options);
}

/** {@link generate}, giving text as it comes: pieces of it, and each finished answer. */
export function generateStream(
  loaded: LoadedModel,
  prompts: readonly TextPrompt[],
  options: Omit<GenerateAllTextOptions, 'onText'> = {},
): AsyncGenerator<TextEvent, void, void> {
  return streamText(loaded.model, tokenizerOf(loaded), prompts, options);
}

function tokenizerOf({ tokenizer, origin }: LoadedModel) {
  if (tokenizer === null)
    throw new ConfigError(`${origin.id} has no tokenizer; generate by token ids instead`);
  return tokenizer;
}
