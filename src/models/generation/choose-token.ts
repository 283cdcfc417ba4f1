/** From one row of logits to the next token, on the host. */

import type { Random } from '../../data/random.js';
import type { Sampling } from './options.js';

/** Tokens less likely than the likeliest by this factor, `exp(-30)`, together weigh less than float32 can tell. */
const NEGLIGIBLE = 30;

/** Reused from one row to the next; grows to the vocabulary's size. */
export interface ChoiceScratch {
  ids: Int32Array;
  weights: Float64Array;
  sorted: Float64Array;
}

export function choiceScratch(vocabSize: number): ChoiceScratch {
  return {
    ids: new Int32Array(vocabSize),
    weights: new Float64Array(vocabSize),
    sorted: new Float64Array(vocabSize),
  };
}

/** Whether the likeliest token is taken as it is, with no look at the other logits. */
export function isPlainGreedy({ temperature, repetitionPenalty }: Sampling): boolean {
  return temperature === 0 && repetitionPenalty === 1;
}

/**
 * Applies the repetition penalty, and takes the likeliest token or draws one of {@link narrow}'s (one random number a
 * token, none when greedy).
 *
 * The token is found by walking through the candidates in the order of their ids, so that logits which differ in
 * their last bits (another batch size, another machine) give the same token but where the draw falls on an edge.
 *
 * @param logits `[V]`; penalized in place
 * @param seen Ids in the prompt and the answer so far
 */
export function chooseToken(
  logits: Float32Array,
  seen: ReadonlySet<number>,
  sampling: Sampling,
  random: Random,
  scratch: ChoiceScratch,
): number {
  if (sampling.repetitionPenalty !== 1) penalize(logits, seen, sampling.repetitionPenalty);
  if (sampling.temperature === 0) return argMax(logits);
  return draw(scratch, narrow(logits, sampling, scratch), random.float());
}

/**
 * Applies, in transformers' order, temperature (above 0), top-k, top-p and min-p.
 *
 * @returns how many tokens are left; their ids, ascending, and weights (the likeliest has 1) begin `scratch`.
 */
export function narrow(
  logits: Float32Array,
  { temperature, topK, topP, minP }: Omit<Sampling, 'repetitionPenalty'>,
  scratch: ChoiceScratch,
): number {
  let count = candidates(logits, logits[argMax(logits)] as number, temperature, scratch);
  if (topK > 0 && count > topK) count = keepAbove(scratch, count, kthLargest(scratch, count, topK));
  if (topP < 1) count = keepNucleus(scratch, count, topP);
  if (minP > 0) count = keepAbove(scratch, count, minP);
  return count;
}

function penalize(logits: Float32Array, seen: ReadonlySet<number>, penalty: number): void {
  for (const id of seen) {
    const logit = logits[id] as number;
    logits[id] = logit < 0 ? logit * penalty : logit / penalty;
  }
}

function argMax(logits: Float32Array): number {
  let best = 0;
  let max = logits[0] as number;
  for (let id = 1; id < logits.length; id++) {
    const logit = logits[id] as number;
    if (logit > max) {
      max = logit;
      best = id;
    }
  }
  return best;
}

/** Ids whose weight `exp((logit - max) / temperature)` counts, ascending, and their weights (the largest is 1). */
function candidates(
  logits: Float32Array,
  max: number,
  temperature: number,
  { ids, weights }: ChoiceScratch,
): number {
  const least = max - NEGLIGIBLE * temperature;
  let count = 0;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] as number;
    if (logit >= least) {
      ids[count] = id;
      weights[count] = Math.exp((logit - max) / temperature);
      count++;
    }
  }
  return count;
}

function keepAbove({ ids, weights }: ChoiceScratch, count: number, least: number): number {
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const weight = weights[i] as number;
    if (weight >= least) {
      ids[kept] = ids[i] as number;
      weights[kept++] = weight;
    }
  }
  return kept;
}

/** The k-th largest weight, by Hoare's selection. */
function kthLargest({ weights, sorted }: ChoiceScratch, count: number, k: number): number {
  sorted.set(weights.subarray(0, count));
  let [begin, end, wanted] = [0, count, k];
  for (;;) {
    const { above, equal } = partition(sorted, begin, end);
    if (wanted <= above - begin) end = above;
    else if (wanted <= equal - begin) return sorted[above] as number;
    else {
      wanted -= equal - begin;
      begin = equal;
    }
  }
}

/**
 * Keeps each token whose likelier ones together stay below `topP` of the mass (transformers' TopPLogitsWarper);
 * among equally likely ones at the edge, those with the lower ids.
 */
function keepNucleus(scratch: ChoiceScratch, count: number, topP: number): number {
  const { ids, weights, sorted } = scratch;
  let total = 0;
  for (let i = 0; i < count; i++) total += weights[i] as number;
  const target = topP * total;

  sorted.set(weights.subarray(0, count));
  let [begin, end, massAbove] = [0, count, 0];
  let edge = 0;
  while (begin < end) {
    const { above, equal } = partition(sorted, begin, end);
    edge = sorted[above] as number;
    let greater = 0;
    for (let i = begin; i < above; i++) greater += sorted[i] as number;
    if (massAbove + greater >= target) {
      end = above;
      continue;
    }
    massAbove += greater;
    if (massAbove + (equal - above) * edge >= target) break;
    massAbove += (equal - above) * edge;
    begin = equal;
  }

  let kept = 0;
  for (let i = 0; i < count; i++) {
    const weight = weights[i] as number;
    if (weight < edge || (weight === edge && massAbove >= target)) continue;
    if (weight === edge) massAbove += edge;
    ids[kept] = ids[i] as number;
    weights[kept++] = weight;
  }
  return kept;
}

/**
 * Three-way partition around the middle one of three: `[begin, above)` is larger, `[above, equal)` the same,
 * the rest smaller.
 */
function partition(values: Float64Array, begin: number, end: number): { above: number; equal: number } {
  const a = values[begin] as number;
  const b = values[(begin + end) >>> 1] as number;
  const c = values[end - 1] as number;
  const pivot = Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
  let [above, i, smaller] = [begin, begin, end];
  while (i < smaller) {
    const value = values[i] as number;
    if (value > pivot) {
      values[i++] = values[above] as number;
      values[above++] = value;
    } else if (value < pivot) {
      values[i] = values[--smaller] as number;
      values[smaller] = value;
    } else i++;
  }
  return { above, equal: smaller };
}

function draw({ ids, weights }: ChoiceScratch, count: number, uniform: number): number {
  let mass = 0;
  for (let i = 0; i < count; i++) mass += weights[i] as number;
  let left = uniform * mass;
  for (let i = 0; i < count; i++) {
    left -= weights[i] as number;
    if (left < 0) return ids[i] as number;
  }
  return ids[count - 1] as number;
}
