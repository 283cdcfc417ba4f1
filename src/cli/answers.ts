import type { Message } from '../data/pairs.js';
import type { PersonaTemplate } from '../data/persona-prompt.js';
import type { TextCompletion } from '../models/generation/generate-text.js';
import type { OpenModel } from './open-model.js';
import type { SamplingFlags } from './sampling-flags.js';

/** What a model is asked: a conversation, and who asks. */
export interface Question {
  messages: readonly Message[];
  persona?: string | undefined;
}

export interface AnswerOptions {
  /** Answers to each question. Default 1. */
  samples?: number;
  personaTemplate?: PersonaTemplate;
  /** Receives the text as it comes. */
  onText?: (text: string) => void;
  signal?: AbortSignal;
}

/**
 * Lets the model answer questions; the persona goes into the system prompt as in training.
 *
 * @returns the answers by question
 */
export async function answer(
  { model, tokenizer }: OpenModel,
  questions: readonly Question[],
  sampling: SamplingFlags,
  { samples = 1, personaTemplate, onText, signal }: AnswerOptions = {},
): Promise<TextCompletion[][]> {
  const [{ withPersona }, { generateText }] = await Promise.all([
    import('../data/persona-prompt.js'),
    import('../models/generation/generate-text.js'),
  ]);
  const { maxNewTokens, temperature, topK, topP, repetitionPenalty, seed, stop = [] } = sampling;
  const prompts = questions.map(({ messages, persona }) => withPersona(messages, persona, personaTemplate));
  return generateText(model, tokenizer, prompts, {
    ...{ maxNewTokens, temperature, topK, topP, repetitionPenalty, seed, stop, samples },
    ...(onText === undefined ? {} : { onText: ({ text }) => onText(text) }),
    ...(signal === undefined ? {} : { signal }),
  });
}
