/** Log-likelihoods of given continuations of one prompt, which is computed once for all of them. */

import { DataError } from '../../errors.js';
import { disposeAll } from '../../runtime/tensor.js';
import type { LanguageModel } from '../language-model.js';
import { DecodeBatch } from './decode-batch.js';
import { checkPrompts, loadForGeneration } from './generate.js';
import { promptCache } from './prompt-cache.js';
import type { Scores } from './scores.js';

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
  { adapter = true, signal }: ScoreLabelsOptions = {},
): Promise<LabelScore[]> {
  labels.forEach((label, index) => {
    if (label.length === 0) throw new DataError(`Label ${index} has no tokens; at least one is needed.`);
  });
  // A label's last token is predicted, never read.
  checkPrompts(model, [prompt, ...labels.map((label) => [...prompt, ...label.slice(0, -1)])]);
  checkPrompts(model, labels);
  const logprobs: number[][] = labels.map(() => []);
  if (labels.length === 0) return [];

  const loaded = loadForGeneration(model, adapter);
  const batch = new DecodeBatch(loaded);
  let scores: Scores | undefined;
  try {
    scores = await batch.add(
      await promptCache(loaded, [prompt], signal),
      labels.map(() => 0),
    );
    let open = labels.map((_, index) => index);
    for (let at = 0; ; at++) {
      const logits = scores.logits();
      open.forEach((label, index) => {
        const row = at === 0 ? 0 : index;
        const id = labels[label]![at]!;
        logprobs[label]!.push(logits[row * model.config.vocabSize + id]! - scores!.logNormalizer[row]!);
      });
      const longer = open.flatMap((label, index) => (labels[label]!.length > at + 1 ? [index] : []));
      if (longer.length === 0) break;
      if (longer.length < open.length) batch.keepSequences(longer);
      open = longer.map((index) => open[index]!);
      signal?.throwIfAborted();
      scores.dispose();
      scores = await batch.step(Int32Array.from(open, (label) => labels[label]![at]!));
    }
  } finally {
    scores?.dispose();
    batch.dispose();
    disposeAll([loaded.head32, loaded.factors]);
  }
  return logprobs.map((values) => ({
    logprob: values.reduce((sum, value) => sum + value, 0),
    logprobs: values,
  }));
}
