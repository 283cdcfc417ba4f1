/** All logits and hidden states of one sequence: for looking into a model and for tests, not for training. */

import { ShapeError } from '../errors.js';
import { attr } from '../runtime/attributes.js';
import { execute } from '../runtime/execute.js';
import { callNamedAsync } from '../runtime/named-function.js';
import { disposeAll, scope, type Tensor, tensor } from '../runtime/tensor.js';
import type { LanguageModel } from './language-model.js';
import type { LoraAdapter } from './lora-adapter.js';
import { type DeviceBatch, placeBatch } from './packed-batch.js';
import { forward } from './passes.js';

export interface InspectOptions {
  /** The adapter to apply; null for the base model. Default: the one on the model, if any. */
  adapter?: LoraAdapter | null;
}

/**
 * Logits of every token of a sequence, float32 `[T, V]`: row t is the distribution of the token after `ids[t]`.
 * The matrix exists as a whole; scoring completions does without it (`completionLogps`).
 *
 * @throws ShapeError for an empty sequence or an id outside the vocabulary
 */
export async function tokenLogits(
  model: LanguageModel,
  ids: readonly number[],
  { adapter = model.adapter }: InspectOptions = {},
): Promise<Tensor> {
  return scope(async () => {
    const { hidden } = await forward(model, placeSequence(model, ids), { keep: 'nothing', adapter });
    const { logits } = await outputEnd(model, hidden);
    hidden.dispose();
    return logits as Tensor;
  });
}

/**
 * The residual stream of a sequence in the compute dtype, `[T, D]` each, as transformers' `output_hidden_states`
 * gives it: the embeddings, then what each layer hands on, the last one behind the final norm.
 *
 * @throws ShapeError for an empty sequence or an id outside the vocabulary
 */
export async function hiddenStates(
  model: LanguageModel,
  ids: readonly number[],
  { adapter = model.adapter }: InspectOptions = {},
): Promise<Tensor[]> {
  return scope(async () => {
    const state = await forward(model, placeSequence(model, ids), { keep: 'inputs', adapter });
    const { normed } = await outputEnd(model, state.hidden);
    state.hidden.dispose();
    return [...state.layers.map(({ x }) => x as Tensor), normed as Tensor];
  });
}

/** A sequence as a packed row of one pair that is all prompt. */
function placeSequence(model: LanguageModel, ids: readonly number[]): DeviceBatch {
  const { vocabSize } = model.config;
  if (ids.length === 0) throw new ShapeError('expected at least one token id, got none');
  const stranger = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
  if (stranger !== undefined) {
    throw new ShapeError(`expected token ids from 0 to ${vocabSize - 1}, got ${stranger}`);
  }
  const none = new Int32Array(0);
  return placeBatch(model, {
    inputIds: Int32Array.from(ids),
    positions: Int32Array.from(ids, (_, i) => i),
    sizes: Int32Array.of(ids.length, 0, 0, 0),
    gatherIndices: none,
    labels: none,
    completionSegments: none,
    pairs: [{ id: 'sequence', promptIds: [...ids], chosenIds: [], rejectedIds: [] }],
  });
}

async function outputEnd(model: LanguageModel, hidden: Tensor): Promise<Record<string, Tensor>> {
  const rows = hidden.shape[0] as number;
  const head32 =
    model.dtype === 'float32'
      ? model.head
      : (execute('Cast', [model.head], {
          SrcT: attr.type(model.dtype),
          DstT: attr.type('float32'),
        })[0] as Tensor);
  const indices = tensor(
    'int32',
    [rows],
    Int32Array.from({ length: rows }, (_, i) => i),
  );
  const { finalNorm } = model.weights;
  const outputs = await callNamedAsync(model.headFunctions.logits, { hidden, finalNorm, indices, head32 });
  if (head32 !== model.head) disposeAll(head32);
  return outputs;
}
