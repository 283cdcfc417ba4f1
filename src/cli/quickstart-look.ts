import type { Tokenizer } from '../data/tokenizer.js';
import type { TextCompletion } from '../models/generation/generate-text.js';
import type { ResolvedTrainOptions } from '../train/options.js';
import { answer } from './answers.js';
import type { ScoredPair } from './held-out.js';
import { type OpenModel, openModel } from './open-model.js';
import type { Progress } from './progress.js';
import type { UserPair } from './quickstart-data.js';

/** What a model makes of the held-out pairs, and what it says to two users who ask the same. */
export interface Look {
  /** The held-out pairs with their personas. */
  scores: ScoredPair[];
  /** The same without, of the untrained model only. */
  neutral: ScoredPair[];
  answers: TextCompletion[];
}

/** Greedy answers show the model and not the draw; the penalty keeps so small a model out of its loops. */
const SAMPLING = { maxNewTokens: 120, temperature: 0, topK: 0, topP: 1, repetitionPenalty: 1.1, seed: 0 };

/** Scores the held-out pairs and answers the shared request, with the trained weights if there are any. */
export async function lookAt(
  options: ResolvedTrainOptions,
  weights: string | undefined,
  { held, spoken }: { held: readonly UserPair[]; spoken: readonly UserPair[] },
  progress: Progress,
): Promise<Look> {
  const { dtype, device, threads, usePeft } = options;
  const opened = await openModel(
    {
      model: weights !== undefined && !usePeft ? weights : options.model,
      ...(weights !== undefined && usePeft ? { adapter: weights } : {}),
      ...(threads === null ? {} : { threads }),
      dtype,
      device,
    },
    progress,
  );
  try {
    const scores = await score(opened, held, options, progress);
    const neutral =
      weights === undefined ? await score(opened, held, { ...options, persona: false }, progress) : [];
    const questions = spoken.map(({ prompt, persona }) => ({
      messages: prompt,
      persona: options.persona ? persona : undefined,
    }));
    const answers = await answer(opened, questions, SAMPLING, { personaTemplate: await templateOf(options) });
    return { scores, neutral, answers: answers.flatMap(([first]) => (first === undefined ? [] : [first])) };
  } finally {
    opened.dispose();
  }
}

async function templateOf({ personaTemplate }: ResolvedTrainOptions) {
  const { createPersonaTemplate, loadPersonaTemplate } = await import('../data/persona-prompt.js');
  return personaTemplate === null ? createPersonaTemplate() : loadPersonaTemplate(personaTemplate);
}

async function score(
  { model, tokenizer }: OpenModel,
  held: readonly UserPair[],
  options: ResolvedTrainOptions,
  progress: Progress,
): Promise<ScoredPair[]> {
  const { pairLogps } = await import('../train/pair-logps.js');
  const tokenized = await tokenizeHeldOut(held, tokenizer, options);
  const scores: ScoredPair[] = [];
  for await (const { pair, chosenLogps, rejectedLogps } of pairLogps(model, tokenized)) {
    scores.push({
      user: pair.user ?? '',
      chosenLogp: sum(chosenLogps),
      rejectedLogp: sum(rejectedLogps),
      chosenTokens: chosenLogps.length,
      rejectedTokens: rejectedLogps.length,
    });
    progress.update(
      'held-out pairs',
      scores.length,
      tokenized.length,
      `${scores.length}/${tokenized.length}`,
    );
  }
  progress.end();
  return scores;
}

async function tokenizeHeldOut(
  held: readonly UserPair[],
  tokenizer: Tokenizer,
  options: ResolvedTrainOptions,
) {
  const { tokenizePairs } = await import('../data/tokenize.js');
  const asked = options.persona ? held : held.map(({ persona: _, ...pair }) => pair);
  const { maxLength, maxPromptLength, truncationMode } = options;
  return tokenizePairs(asked, tokenizer, {
    maxLength,
    maxPromptLength,
    truncationMode,
    personaTemplate: await templateOf(options),
  }).tokenized;
}

function sum(values: Float32Array): number {
  return values.reduce((total, value) => total + value, 0);
}
