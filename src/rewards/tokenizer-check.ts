/** Whether a tokenizer belongs to a reward model. */

import type { Tokenizer } from '../data/tokenizer.js';
import { CheckpointError } from '../errors.js';

/**
 * The id of the classification token; null where the recipe has none.
 *
 * @param vocabSize Rows of the model's embedding; null where the file does not tell
 * @throws CheckpointError when the tokenizer has ids that the model has no embedding for, or lacks the token
 */
export function checkTokenizer(
  tokenizer: Tokenizer,
  { vocabSize, classificationToken }: { vocabSize: number | null; classificationToken: string | null },
  folder: string,
): number | null {
  if (vocabSize !== null && tokenizer.vocabSize > vocabSize) {
    throw new CheckpointError(
      `The tokenizer in ${folder} does not belong to the model: it has ids up to ${tokenizer.vocabSize - 1}, the model's embedding has ${vocabSize} rows.`,
      { details: { folder } },
    );
  }
  if (classificationToken === null) return null;
  const id = tokenizer.tokenToId(classificationToken);
  if (id === undefined) {
    throw new CheckpointError(
      `The tokenizer in ${folder} does not belong to the model: it lacks the classification token ${JSON.stringify(classificationToken)}.`,
      { details: { folder } },
    );
  }
  return id;
}
