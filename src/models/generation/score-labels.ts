/** Log-likelihoods of given continuations of prompts, each of which is computed once for all of its continuations. */

import { DataError } from '../../errors.js';
import type { LanguageModel } from '../language-model.js';
import { DecodeBatch } from './decode-batch.js';
import { checkPrompts, disposeGeneration, loadForGeneration } from './generate.js';
import { type GenerationModel, promptCache } from './prompt-cache.js';
import type { Scores } from './scores.js';
import type { SharedPrefix } from './shared-prefix.js';

/** One label and its log-probability. */
export interface LabelScore {
  /** `log p(label | prompt)`, the sum of `logprobs`. */
  logprob: number;
  /** log p of each of the label's tokens. */
  logprobs: number[];
}

export interface ScoreLabelsOptions {
  /** Whether the model's adapter acts, if it has one. Default true. */
  adapter?: boolean;
  signal?: AbortSignal;
}

/** A prompt and what may follow it, as token ids: at least one each. */
export interface LabelQuestion {
  prompt: readonly number[];
  labels: readonly (readonly number[])[];
}

export interface ScoreAllLabelsOptions extends ScoreLabelsOptions {
  /** Where the prompts' common beginning is kept from one call to the next. Default: each prompt computes its own. */
  prefix?: SharedPrefix;
}

/**
 * Scores each label after `prompt`, one token of all labels at a time: meant for labels of a few tokens (classes,
 * answers to choose from).
 *
 * @param prompt Token ids, at least one
 * @param labels Token ids, at least one each
 * @throws DataError when prompt or a label is empty, or too long for the model
 */
export async function scoreLabels(
  model: LanguageModel,
  prompt: readonly number[],
  labels: readonly (readonly number[])[],
  options: ScoreLabelsOptions = {},
): Promise<LabelScore[]> {
  return (await scoreAllLabels(model, [{ prompt, labels }], options))[0]!;
}

/** {@link scoreLabels} of several prompts, which go through the model together: for each prompt its labels' scores. */
export async function scoreAllLabels(
  model: LanguageModel,
  questions: readonly LabelQuestion[],
  { adapter = true, signal, prefix }: ScoreAllLabelsOptions = {},
): Promise<LabelScore[][]> {
  for (const question of questions) checkQuestion(model, question);
  const logprobs = questions.map(({ labels }) => labels.map((): number[] => []));
  const asked = questions.filter(({ labels }) => labels.length > 0);
  if (asked.length > 0) {
    const loaded = loadForGeneration(model, adapter);
    try {
      const rows = logprobs.filter((row) => row.length > 0);
      for await (const { question, label, logprob } of labelTokens(loaded, asked, signal, prefix)) {
        rows[question]![label]!.push(logprob);
      }
    } finally {
      disposeGeneration(loaded);
    }
  }
  return logprobs.map((row) =>
    row.map((values) => ({ logprob: values.reduce((sum, value) => sum + value, 0), logprobs: values })),
  );
}

function checkQuestion(model: LanguageModel, { prompt, labels }: LabelQuestion): void {
  labels.forEach((label, index) => {
    if (label.length === 0) throw new DataError(`Label ${index} has no tokens; at least one is needed.`);
  });
  // A label's last token is predicted, never read.
  checkPrompts(model, [prompt, ...labels.map((label) => [...prompt, ...label.slice(0, -1)])]);
  checkPrompts(model, labels);
}

interface LabelToken {
  question: number;
  label: number;
  logprob: number;
}

/** Of every label its tokens in order. */
async function* labelTokens(
  loaded: GenerationModel,
  questions: readonly LabelQuestion[],
  signal: AbortSignal | undefined,
  prefix: SharedPrefix | undefined,
): AsyncGenerator<LabelToken, void, void> {
  const batch = new DecodeBatch(loaded);
  let scores: Scores | undefined;
  let open = questions.flatMap(({ labels }, question) =>
    labels.map((ids, label) => ({ question, label, ids })),
  );
  try {
    const prompts = questions.map(({ prompt }) => prompt);
    scores = await batch.add(
      await promptCache(loaded, prompts, signal, undefined, prefix),
      open.map(({ question }) => question),
    );
    for (let at = 0; ; at++) {
      const rows = open.map(({ question }, sequence) => (at === 0 ? question : sequence));
      const logits = scores.logitsAt(
        rows,
        open.map(({ ids }) => ids[at]!),
      );
      for (const [sequence, { question, label }] of open.entries()) {
        const logprob = logits[sequence]! - scores.logNormalizer[rows[sequence]!]!;
        yield { question, label, logprob };
      }
      const longer = open.flatMap(({ ids }, sequence) => (ids.length > at + 1 ? [sequence] : []));
      if (longer.length === 0) return;
      if (longer.length < open.length) batch.keepSequences(longer);
      open = longer.map((sequence) => open[sequence]!);
      signal?.throwIfAborted();
      scores.dispose();
      scores = await batch.step(Int32Array.from(open, ({ ids }) => ids[at]!));
    }
  } finally {
    scores?.dispose();
    batch.dispose();
  }
}
