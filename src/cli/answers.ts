import type { Message } from '../data/pairs.js';
import type { PersonaTemplate } from '../data/persona-prompt.js';
import type { OpenModel } from './open-model.js';
import type { SamplingFlags } from './sampling-flags.js';

/** What a model is asked: a conversation, and who asks. */
export interface Question {
  messages: readonly Message[];
  persona?: string | undefined;
}

export interface Answer {
  text: string;
  tokens: number;
  /** `stop`: the model ended its turn, or a stop text came; `length`: `maxNewTokens` was reached. */
  finishReason: 'stop' | 'length';
}

export interface AnswerOptions {
  /** Answers to each question. Default 1. */
  n?: number;
  personaTemplate?: PersonaTemplate;
  /** Receives the text as it comes, with the index of its question. */
  onText?: (text: string, question: number) => void;
  signal?: AbortSignal;
}

/**
 * Lets the model answer questions, each in `n` ways; the persona goes into the system prompt as in training.
 *
 * @returns the answers by question
 */
export async function answer(
  { model, tokenizer }: OpenModel,
  questions: readonly Question[],
  flags: SamplingFlags,
  options: AnswerOptions = {},
): Promise<Answer[][]> {
  const { n = 1, personaTemplate, onText, signal } = options;
  const [{ encodePrompt }, { createStreamDecoder }, { generate }] = await Promise.all([
    import('../data/tokenize.js'),
    import('../data/stream-decoder.js'),
    import('../models/generate.js'),
  ]);
  const prompts = questions.map(({ messages, persona }) =>
    encodePrompt(messages, tokenizer, {
      persona,
      ...(personaTemplate === undefined ? {} : { personaTemplate }),
    }),
  );
  const decoders = questions.map(() => createStreamDecoder(tokenizer, { skipSpecialTokens: true }));
  const results = await generate(model, prompts, {
    maxNewTokens: flags.maxNewTokens,
    temperature: flags.temperature,
    topK: flags.topK,
    topP: flags.topP,
    seed: flags.seed,
    stop: flags.stop ?? [],
    n,
    tokenizer,
    ...(signal === undefined ? {} : { signal }),
    ...(onText === undefined
      ? {}
      : {
          onToken: ({ prompt, id }: { prompt: number; id: number }) => {
            const text = decoders[prompt]?.push(id) ?? '';
            if (text !== '') onText(text, prompt);
          },
        }),
  });
  return results;
}
