/** From scores to tokens: the choice is made on the device, and only what was chosen comes to the host. */

import type { Random } from '../../data/random.js';
import { callNamedAsync, type Tensors } from '../../runtime/named-function.js';
import { scope, type Tensor, tensor } from '../../runtime/tensor.js';
import { type DrawFunctions, drawFunctions } from './draw-functions.js';
import type { Sampling } from './options.js';
import { gatherRows } from './prompt-cache.js';
import type { Scores } from './scores.js';

/** One token to be chosen. */
export interface Draw {
  /** The row of the scores; several may draw from one. */
  row: number;
  sampling: Sampling;
  random: Random;
  /** Tokens of the prompt and the answer so far; read where there is a repetition penalty. */
  seen: ReadonlySet<number>;
}

export interface DrawnToken {
  id: number;
  /** log p under the model's own distribution: before penalty, temperature and cuts. */
  logprob: number;
}

/** What a row's target is multiplied by where there is no nucleus: no mass reaches it. */
const NO_NUCLEUS = 2;

/**
 * Chooses a token for each of `draws`: the likeliest where its temperature is 0, else drawn. A draw takes one random
 * number, and another for each proposal outside of the nucleus (see kernels/decode-draw): its own stream's, so that
 * what else is drawn changes nothing.
 */
export function drawTokens(scores: Scores, draws: readonly Draw[]): Promise<DrawnToken[]> {
  return scope(async () => {
    const functions = drawFunctions(scores.onDevice.shape[1] as number);
    const rows = draws.map(({ row }) => row);
    const logits = await penalizedLogits(functions, rowsOf(scores.onDevice, rows), draws);
    const ids = new Int32Array(draws.length);
    const [cold, warm] = [[], []] as [number[], number[]];
    draws.forEach(({ sampling }, index) => {
      (sampling.temperature === 0 ? cold : warm).push(index);
    });
    if (cold.length > 0) {
      const { ids: best } = await callNamedAsync(functions.likeliest, { logits: rowsOf(logits, cold) });
      (best!.data() as Int32Array).forEach((id, i) => {
        ids[cold[i]!] = id;
      });
    }
    if (warm.length > 0) {
      const asked = warm.map((index) => draws[index]!);
      (await drawWarm(functions, rowsOf(logits, warm), asked)).forEach((id, i) => {
        ids[warm[i]!] = id;
      });
    }
    const chosen = scores.logitsAt(rows, [...ids]);
    return Array.from(ids, (id, i) => ({ id, logprob: chosen[i]! - scores.logNormalizer[rows[i]!]! }));
  });
}

/** The rows `rows` of `x`; `x` itself where these are all of them in order. */
function rowsOf(x: Tensor, rows: readonly number[]): Tensor {
  const all = rows.length === x.shape[0] && rows.every((row, index) => row === index);
  return all ? x : gatherRows(x, rows, 0);
}

async function penalizedLogits(
  { penalized }: DrawFunctions,
  logits: Tensor,
  draws: readonly Draw[],
): Promise<Tensor> {
  const places: number[] = [];
  const penalties: number[] = [];
  draws.forEach(({ sampling: { repetitionPenalty }, seen }, index) => {
    if (repetitionPenalty === 1) return;
    for (const id of seen) {
      places.push(index, id);
      penalties.push(repetitionPenalty);
    }
  });
  if (penalties.length === 0) return logits;
  const inputs = {
    logits,
    places: tensor('int32', [penalties.length, 2], places),
    penalty: tensor('float32', [penalties.length], penalties),
  };
  return (await callNamedAsync(penalized, inputs)).logits!;
}

/** Draws until every row has a token that it accepts; rows that have one leave. */
async function drawWarm(
  functions: DrawFunctions,
  logits: Tensor,
  draws: readonly Draw[],
): Promise<Int32Array> {
  const { weights, least, target } = await rowWeights(functions, logits, draws);
  const nucleus = draws.some(({ sampling }) => sampling.topP < 1);
  const targets = target!.data() as Float32Array;
  const bounds = least!.data() as Float32Array;
  const ids = new Int32Array(draws.length);
  let open = draws.map((_, index) => index);
  while (open.length > 0) {
    const bounded = open.some((index) => bounds[index]! > 0);
    const { ids: proposed, ...of } = await propose(functions.propose(bounded, nucleus), {
      weights: rowsOf(weights!, open),
      ...uniforms(open.map((index) => draws[index]!.random)),
      least: tensor(
        'float32',
        [open.length],
        Float32Array.from(open, (index) => bounds[index]!),
      ),
    });
    open = open.filter((index, i) => {
      ids[index] = proposed[i]!;
      if (of.above === undefined || of.above[i]! < targets[index]!) return false;
      bounds[index] = nextAbove(of.chosen[i]!);
      return true;
    });
  }
  return ids;
}

function rowWeights(functions: DrawFunctions, logits: Tensor, draws: readonly Draw[]) {
  const vocabSize = logits.shape[1] as number;
  const floats = (of: (sampling: Sampling) => number) =>
    tensor(
      'float32',
      [draws.length],
      Float32Array.from(draws, ({ sampling }) => of(sampling)),
    );
  // As many as there are is no cut.
  const places = draws.map(({ sampling: { topK } }) => (topK < vocabSize ? topK - 1 : -1));
  const most = 1 + Math.max(...places);
  const inputs = {
    logits,
    temperature: floats(({ temperature }) => temperature),
    topP: floats(({ topP }) => (topP < 1 ? topP : NO_NUCLEUS)),
    minP: floats(({ minP }) => minP),
  };
  if (most === 0) return callNamedAsync(functions.weights, inputs);
  return callNamedAsync(functions.topKWeights, {
    ...inputs,
    most: tensor('int32', [], [most]),
    place: tensor('int32', [places.length], places),
  });
}

async function propose(fn: DrawFunctions['likeliest'], inputs: Tensors) {
  const { ids, chosen, above } = await callNamedAsync(fn, inputs);
  return {
    ids: ids!.data() as Int32Array,
    chosen: chosen!.data() as Float32Array,
    above: above?.data() as Float32Array | undefined,
  };
}

/** Two numbers of 24 bits from the 53 of one: float32 holds no more. */
function uniforms(randoms: readonly Random[]): Tensors {
  const scaled = randoms.map((random) => random.float() * 2 ** 24);
  const vector = (values: number[]) => tensor('float32', [values.length], values);
  return {
    inBlocks: vector(scaled.map((value) => Math.floor(value) / 2 ** 24)),
    inBlock: vector(scaled.map((value) => value % 1)),
  };
}

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

/** The next float32 after a positive one. */
function nextAbove(value: number): number {
  float[0] = value;
  bits[0]! += 1;
  return float[0]!;
}
