/** From one row of scores to the next token, on the host: the plain way, which draws on the device are held against. */

import type { Random } from '../../data/random.js';
import type { Sampling } from './options.js';

/** Tokens less likely than the likeliest by this factor together weigh less than float32 can tell. */
const NEGLIGIBLE = Math.exp(-30);

/** A weight's float32 bits without its 16 lowest: weights of one bucket differ by less than a hundredth. */
const BUCKET_SHIFT = 16;
const BUCKETS = (0x3f800000 >>> BUCKET_SHIFT) + 1;

/** Reused from one row to the next. */
export interface ChoiceScratch {
  ids: Int32Array;
  weights: Float32Array;
  /** The same memory as `weights`. */
  bits: Uint32Array;
  buckets: Float64Array;
}

export function choiceScratch(vocabSize: number): ChoiceScratch {
  const weights = new Float32Array(vocabSize);
  return {
    ids: new Int32Array(vocabSize),
    weights,
    bits: new Uint32Array(weights.buffer),
    buckets: new Float64Array(BUCKETS),
  };
}

/**
 * Divides logits of tokens seen before by the penalty where positive and multiplies them where negative
 * (transformers' RepetitionPenaltyLogitsProcessor); in place.
 */
export function penalize(logits: Float32Array, seen: ReadonlySet<number>, penalty: number): void {
  for (const id of seen) {
    const logit = logits[id] as number;
    logits[id] = logit < 0 ? logit * penalty : logit / penalty;
  }
}

export function argMax(logits: Float32Array): number {
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

/** `exp((logit - max) / temperature)`: the likeliest token weighs 1. In place. */
export function toWeights(logits: Float32Array, temperature: number): Float32Array {
  const max = logits[argMax(logits)] as number;
  for (let id = 0; id < logits.length; id++) {
    logits[id] = Math.exp(((logits[id] as number) - max) / temperature);
  }
  return logits;
}

/**
 * Draws one of the tokens that {@link narrow} leaves, with one random number.
 *
 * The token is found by walking through the candidates in the order of their ids, so that weights which differ in
 * their last bits (another batch size, another machine) give the same token but where the draw falls on an edge.
 */
export function drawToken(
  weights: Float32Array,
  sampling: Cuts,
  random: Random,
  scratch: ChoiceScratch,
): number {
  const count = narrow(weights, sampling, scratch);
  let left = random.float() * mass(scratch, count);
  for (let i = 0; i < count; i++) {
    left -= scratch.weights[i] as number;
    if (left < 0) return scratch.ids[i] as number;
  }
  return scratch.ids[count - 1] as number;
}

export type Cuts = Pick<Sampling, 'topK' | 'topP' | 'minP'>;

/**
 * Applies top-k, top-p and min-p, in transformers' order.
 *
 * @param weights `[V]`, the likeliest token's is 1
 * @returns how many tokens are left; their ids, ascending, and weights begin `scratch`.
 */
export function narrow(weights: Float32Array, { topK, topP, minP }: Cuts, scratch: ChoiceScratch): number {
  let count = 0;
  for (let id = 0; id < weights.length; id++) {
    const weight = weights[id] as number;
    if (weight >= NEGLIGIBLE) {
      scratch.ids[count] = id;
      scratch.weights[count++] = weight;
    }
  }
  if (topK > 0 && count > topK) count = keepLikeliest(scratch, count, topK);
  if (topP < 1) count = keepNucleus(scratch, count, topP * mass(scratch, count));
  if (minP > 0) count = keepFrom(scratch, count, minP);
  return count;
}

function mass({ weights }: ChoiceScratch, count: number): number {
  let total = 0;
  for (let i = 0; i < count; i++) total += weights[i] as number;
  return total;
}

function keepFrom({ ids, weights }: ChoiceScratch, count: number, least: number): number {
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

/** The `k` likeliest, and those tied with the last of them. */
function keepLikeliest(scratch: ChoiceScratch, count: number, k: number): number {
  const { bits, buckets } = scratch;
  buckets.fill(0);
  for (let i = 0; i < count; i++) buckets[(bits[i] as number) >>> BUCKET_SHIFT]! += 1;
  const { sorted, above } = bucketWhere(scratch, count, k);
  return keepFrom(scratch, count, sorted[k - above - 1] as number);
}

/**
 * Each token whose likelier ones together stay below `target` (transformers' TopPLogitsWarper); among equally likely
 * ones at the edge, those with the lower ids.
 */
function keepNucleus(scratch: ChoiceScratch, count: number, target: number): number {
  const { ids, weights, bits, buckets } = scratch;
  buckets.fill(0);
  for (let i = 0; i < count; i++) buckets[(bits[i] as number) >>> BUCKET_SHIFT]! += weights[i] as number;
  let { sorted, above } = bucketWhere(scratch, count, target);

  // Up to the weight at which the target is reached; `above` is the mass of all larger ones.
  let edge = sorted[0] as number;
  let atEdge = 0;
  for (const weight of sorted) {
    if (weight !== edge) {
      if (above + atEdge >= target) break;
      above += atEdge;
      atEdge = 0;
      edge = weight;
    }
    atEdge += weight;
  }

  let kept = 0;
  for (let i = 0; i < count; i++) {
    const weight = weights[i] as number;
    if (weight < edge || (weight === edge && above >= target)) continue;
    if (weight === edge) above += edge;
    ids[kept] = ids[i] as number;
    weights[kept++] = weight;
  }
  return kept;
}

/**
 * The bucket, from the largest weights down, in which the sum of `buckets` reaches `target`: its weights in
 * descending order, and the sum above it.
 */
function bucketWhere(
  { weights, bits, buckets }: ChoiceScratch,
  count: number,
  target: number,
): { sorted: Float32Array; above: number } {
  let above = 0;
  let bucket = BUCKETS - 1;
  // The last bucket with anything in it takes what rounding leaves of the target.
  for (let next = bucket; next >= 0; next--) {
    if (buckets[next] === 0) continue;
    bucket = next;
    if (above + (buckets[next] as number) >= target) break;
    above += buckets[next] as number;
  }
  const inside: number[] = [];
  for (let i = 0; i < count; i++) {
    if ((bits[i] as number) >>> BUCKET_SHIFT === bucket) inside.push(weights[i] as number);
  }
  return { sorted: Float32Array.from(inside).sort().reverse(), above };
}
