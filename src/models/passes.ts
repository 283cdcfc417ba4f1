/**
 * Forward and backward passes of a packed row. Layers run on another thread, one graph function each, so that the
 * event loop stays free; what the backward pass needs is freed as soon as it has been used.
 */

import { attr } from '../runtime/attributes.js';
import { execute, executeAsync } from '../runtime/execute.js';
import { callNamed, callNamedAsync, type Tensors } from '../runtime/named-function.js';
import { gpuMemoryBytes } from '../runtime/runtime.js';
import { disposeAll, keep, scope, shareTensor, type Tensor, tensor } from '../runtime/tensor.js';
import { concatRows } from '../runtime/tensor-ops.js';
import type { LanguageModel } from './language-model.js';
import type { LoraAdapter } from './lora-adapter.js';
import type { DeviceBatch } from './packed-batch.js';

/**
 * What a forward pass keeps: nothing; each layer's input, from which the backward pass computes the layer anew
 * (less memory, a third more work); or everything the backward pass needs.
 */
export type Keep = 'nothing' | 'inputs' | 'everything';

export interface ForwardOptions {
  keep: Keep;
  /** The adapter to apply; null for the base model. */
  adapter: LoraAdapter | null;
  /** Seed of this pass's dropout; without one there is no dropout. */
  dropoutSeed?: number;
}

/** The hidden states after the last layer, `[N, D]`, and what was kept of each layer. */
export interface ForwardState {
  hidden: Tensor;
  layers: Record<string, Tensor>[];
  options: ForwardOptions;
}

/** Scores of the completion tokens, `[M]` each, float32; and `[M, D]`, each token's own gradient. */
export interface CompletionScores {
  logps: Tensor;
  meanLogits: Tensor;
  entropy: Tensor;
  correct: Tensor;
  dNormed: Tensor;
  /** `log Σ_v p(v)²`, `[M]`, float32; only where asked for. */
  logSumSquares?: Tensor;
}

export interface ScoreOptions {
  /** Whether to compute `logSumSquares`, which WPO (`useWeighting`) needs. Default false. */
  logSumSquares?: boolean;
}

/** The rows that a gradient is of, where it is not of the whole matrix; all others are zero. */
export interface GradientRows {
  /** int32 `[U]`, all different. */
  indices: Tensor;
  /** Rows of the whole matrix. */
  count: number;
}

/**
 * Receives a gradient and owns it, and its rows' indices, from then on. What it makes itself and wants to have later,
 * it keeps (`keep`).
 */
export type GradientSink = (id: string, gradient: Tensor, rows?: GradientRows) => void;

/** Bytes of one chunk's float32 logits; a handful of such matrices exist at once. */
const LOGITS_CHUNK_BYTES = 48 * 1024 * 1024;

/** What a chunk may take of a GPU's memory, if that is more: it is slow at many small products. */
const GPU_CHUNK_SHARE = 1 / 128;

/** Runs all layers. The caller, or the scope around the call, owns `hidden` and `layers`. */
export async function forward(
  model: LanguageModel,
  batch: DeviceBatch,
  options: ForwardOptions,
): Promise<ForwardState> {
  const lora = options.adapter?.shape(options.dropoutSeed !== undefined) ?? null;
  const run = model.functions.get(options.keep === 'everything' ? 'forward' : 'inference', batch.pairs, lora);
  return scope(async () => {
    const layers: Record<string, Tensor>[] = [];
    const { embedding: table } = model.weights;
    let x = callNamed(model.headFunctions.embed, { table, ids: batch.tensors.ids! }).x!;
    for (let i = 0; i < model.config.numLayers; i++) {
      const inputs = layerInputs(model, batch, options, i, x);
      const { y, ...saved } = await callNamedAsync(run, inputs);
      if (options.keep === 'nothing') x.dispose();
      else layers.push({ x, ...saved });
      x = y!;
    }
    return { hidden: x, layers, options };
  });
}

/** Log-probabilities of the completion tokens, float32 `[M]`, without statistics or gradients. */
export async function completionLogps(
  model: LanguageModel,
  batch: DeviceBatch,
  hidden: Tensor,
): Promise<Tensor> {
  return scope(async () => {
    const head32 = await castTo(model.head, 'float32');
    const pieces: Tensor[] = [];
    for (const inputs of chunks(model, batch, hidden)) {
      pieces.push((await callNamedAsync(model.headFunctions.logps, { ...inputs, head32 })).logps!);
    }
    return concatRows(pieces);
  });
}

/** Scores of the completion tokens with what the backward pass needs. */
export async function completionScores(
  model: LanguageModel,
  batch: DeviceBatch,
  hidden: Tensor,
  { logSumSquares = false }: ScoreOptions = {},
): Promise<CompletionScores> {
  const { scores, weightingScores } = model.headFunctions;
  const run = logSumSquares ? weightingScores : scores;
  return scope(async () => {
    const head32 = await castTo(model.head, 'float32');
    const head = await castTo(model.head, model.computeDtype);
    const pieces: Record<string, Tensor>[] = [];
    for (const inputs of chunks(model, batch, hidden)) {
      pieces.push(await callNamedAsync(run, { ...inputs, head32, head }));
    }
    const joined = (name: string) => concatRows(pieces.map((piece) => piece[name]!));
    return {
      logps: joined('logps'),
      meanLogits: joined('meanLogits'),
      entropy: joined('entropy'),
      correct: joined('correct'),
      dNormed: joined('dNormed'),
      ...(logSumSquares && { logSumSquares: joined('logSumSquares') }),
    };
  });
}

/**
 * Gradients of a loss from its derivative with respect to the completion tokens' log-probabilities. With an adapter
 * those of its factors, else those of all weights; `sink` gets each as soon as it is there.
 *
 * @param state Of a forward pass that kept inputs or everything; what it kept is freed on the way,
 * and also where the pass fails.
 * @param dLogps `d loss / d logp`, float32 `[M]`
 */
export async function backward(
  model: LanguageModel,
  batch: DeviceBatch,
  state: ForwardState,
  scores: CompletionScores,
  dLogps: Tensor,
  sink: GradientSink,
): Promise<void> {
  const headSink = state.options.adapter === null ? sink : null;
  await backwardFrom(model, batch, state, sink, () =>
    headBackward(model, batch, state.hidden, scores.dNormed, dLogps, headSink),
  );
}

/**
 * Gradients of the layers, and without an adapter of the embedding, from that of the hidden states after the last
 * layer: for whatever head stands on them. What the forward pass kept is freed on the way, and also on failure.
 *
 * @param head Gives `d loss / d hidden`, `[N, D]`, and does the head's own gradients; `state.hidden` is freed after it.
 */
export async function backwardFrom(
  model: LanguageModel,
  batch: DeviceBatch,
  state: ForwardState,
  sink: GradientSink,
  head: () => Promise<Tensor>,
): Promise<void> {
  const { adapter, dropoutSeed } = state.options;
  const full = adapter === null;
  const lora = adapter?.shape(dropoutSeed !== undefined) ?? null;
  const keptAll = state.options.keep === 'everything';
  const run = model.functions.get(keptAll ? 'backward' : 'recomputed', batch.pairs, lora);
  try {
    await scope(async () => {
      let dy = await head();
      state.hidden.dispose();
      for (let i = model.config.numLayers - 1; i >= 0; i--) {
        const saved = state.layers[i] as Record<string, Tensor>;
        const inputs = { ...layerInputs(model, batch, state.options, i, saved.x!), ...saved, dy };
        const { dx, ...gradients } = await callNamedAsync(run, inputs);
        dy.dispose();
        disposeAll(saved);
        dy = dx!;
        for (const [name, gradient] of Object.entries(gradients)) {
          sink(`layers.${i}.${name.slice('d:'.length)}`, keep(gradient));
        }
      }
      if (full) await embeddingGradient(model, batch, dy, sink);
    });
  } finally {
    disposeAll([state.hidden, state.layers]);
  }
}

async function headBackward(
  model: LanguageModel,
  batch: DeviceBatch,
  hidden: Tensor,
  dNormed: Tensor,
  dLogps: Tensor,
  sink: GradientSink | null,
): Promise<Tensor> {
  return scope(async () => {
    const { gatherIndices } = batch.batch;
    const column = reshapeTo(dLogps, [-1, 1]);
    const outputs = await callNamedAsync(model.headFunctions.backward, {
      hidden,
      finalNorm: model.weights.finalNorm,
      indices: tensor('int32', [gatherIndices.length], gatherIndices),
      dNormed,
      dLogps: column,
      tokens: tensor('int32', [], [batch.tokens]),
    });
    if (sink !== null) {
      sink('finalNorm', keep(outputs['d:finalNorm']!));
      await headWeightGradient(model, batch, hidden, column, sink);
    }
    return outputs.dHidden!;
  });
}

/** The head's gradient, chunk by chunk; the logits are computed anew, since the loss had to be known first. */
async function headWeightGradient(
  model: LanguageModel,
  batch: DeviceBatch,
  hidden: Tensor,
  dLogps: Tensor,
  sink: GradientSink,
): Promise<void> {
  const head32 = await castTo(model.head, 'float32');
  const id = model.weights.head === null ? 'embedding' : 'head';
  let begin = 0;
  for (const inputs of chunks(model, batch, hidden)) {
    const rows = inputs.labels!.shape[0] as number;
    const { dHead } = await callNamedAsync(model.headFunctions.headGradient, {
      ...inputs,
      head32,
      dLogps: sliceRows(dLogps, begin, rows),
    });
    sink(id, keep(dHead!));
    begin += rows;
  }
}

/**
 * The gradient of the embedding rows that were read. The padding token's row learns nothing from being read, as in
 * torch.nn.Embedding with a padding_idx, which transformers' decoders use.
 */
async function embeddingGradient(
  model: LanguageModel,
  batch: DeviceBatch,
  dx: Tensor,
  sink: GradientSink,
): Promise<void> {
  const { padTokenId, vocabSize } = model.config;
  const ids = [...new Set(batch.batch.inputIds)].filter((id) => id !== padTokenId);
  const places = new Map(ids.map((id, place) => [id, place]));
  // A negative segment is left out of the sum.
  const segments = Array.from(batch.batch.inputIds, (id) => places.get(id) ?? -1);
  const inputs = [
    await castTo(dx, 'float32'),
    tensor('int32', [segments.length], segments),
    tensor('int32', [], [ids.length]),
  ];
  const [gradient] = await executeAsync('UnsortedSegmentSum', inputs, {
    T: attr.type('float32'),
    Tindices: attr.type('int32'),
    Tnumsegments: attr.type('int32'),
  });
  const indices = tensor('int32', [ids.length], ids);
  sink('embedding', keep(gradient!), { indices: keep(indices), count: vocabSize });
}

function layerInputs(
  model: LanguageModel,
  batch: DeviceBatch,
  { adapter, dropoutSeed }: ForwardOptions,
  index: number,
  x: Tensor,
): Record<string, Tensor> {
  const inputs = { x, ...batch.tensors, ...model.layerInputs(index, adapter) };
  if (adapter === null || adapter.config.dropout === 0 || dropoutSeed === undefined) return inputs;
  // Modules of a layer add their own number to the second half.
  return { ...inputs, seed: tensor('int32', [2], [dropoutSeed, index * 16]) };
}

/** Inputs of the head functions for one chunk of completion tokens after another. */
function* chunks(model: LanguageModel, { batch }: DeviceBatch, hidden: Tensor): Generator<Tensors> {
  const total = batch.labels.length;
  const bytes = Math.max(LOGITS_CHUNK_BYTES, GPU_CHUNK_SHARE * (gpuMemoryBytes() ?? 0));
  const size = Math.max(16, Math.floor(bytes / 4 / model.config.vocabSize));
  for (let begin = 0; begin < total; begin += size) {
    const end = Math.min(total, begin + size);
    yield {
      hidden,
      finalNorm: model.weights.finalNorm,
      indices: tensor('int32', [end - begin], batch.gatherIndices.subarray(begin, end)),
      labels: tensor('int32', [end - begin], batch.labels.subarray(begin, end)),
    };
  }
}

/** A tensor of its own, made on another thread: a vocabulary's matrix takes a while to cast. */
async function castTo(x: Tensor, dtype: 'float32' | 'bfloat16'): Promise<Tensor> {
  if (x.dtype === dtype) return shareTensor(x);
  const [cast] = await executeAsync('Cast', [x], { SrcT: attr.type(x.dtype), DstT: attr.type(dtype) });
  return cast!;
}

function reshapeTo(x: Tensor, shape: readonly number[]): Tensor {
  return execute('Reshape', [x, tensor('int32', [shape.length], shape)], {
    T: attr.type(x.dtype),
    Tshape: attr.type('int32'),
  })[0]!;
}

function sliceRows(x: Tensor, begin: number, rows: number): Tensor {
  const rest = x.shape.slice(1);
  const from = [begin, ...rest.map(() => 0)];
  const sizes = [rows, ...rest];
  return execute('Slice', [x, tensor('int32', [from.length], from), tensor('int32', [sizes.length], sizes)], {
    T: attr.type(x.dtype),
    Index: attr.type('int32'),
  })[0]!;
}
