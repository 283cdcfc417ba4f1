/**
 * The draw of tokens from rows of logits, on the device: temperature, top-k, top-p and min-p without a sort of the
 * vocabulary, and without the logits coming to the host.
 *
 * A draw is a proposal that is accepted or not. A token is proposed by its weight among those that may still be
 * drawn, `w >= least`. It belongs to the nucleus if all likelier tokens together weigh less than `target`; if it does
 * not, neither does any token that weighs as much or less, so that the next proposal comes from those above it alone.
 * What is accepted is distributed as if the nucleus had been sorted out first: proposals are proportional to the
 * weights, on the nucleus as everywhere. The first is accepted with a probability of at least top-p.
 *
 * Letters: C rows to draw from, V vocabulary.
 */

import { attr } from '../runtime/attributes.js';
import type { GraphBuilder, GraphValue } from '../runtime/graph-function.js';
import { cast, div, exp, max, minimum, mul, reshape, sub, sum } from './graph-math.js';

/** Numbers that are summed before their sums are: a vocabulary is walked through in two short steps. */
const LARGEST_BLOCK = 256;

/**
 * `w = exp((logits - max) / temperature)`: the likeliest token weighs 1.
 *
 * @param logits float32 `[C, V]`
 * @param temperature float32 `[C]`, above 0
 */
export function samplingWeights(g: GraphBuilder, logits: GraphValue, temperature: GraphValue): GraphValue {
  return exp(g, div(g, sub(g, logits, max(g, logits, [1])), column(g, temperature)));
}

/**
 * The weight of the `k`th likeliest token of each row; 0 where a row is not cut.
 *
 * @param most int32 scalar, the largest k of all rows
 * @param place int32 `[C]`, `k - 1`; -1 where a row is not cut
 */
export function topKWeight(
  g: GraphBuilder,
  weights: GraphValue,
  most: GraphValue,
  place: GraphValue,
): GraphValue {
  const [top] = g.ops('TopKV2', [weights, most], { T: attr.type('float32'), sorted: attr.bool(true) }, 2);
  const int = { T: attr.type('int32') };
  const at = g.op('Maximum', [place, g.constant('int32', 0)], int);
  const kept = g.op('GreaterEqual', [place, g.constant('int32', 0)], int);
  return mul(g, pick(g, top!, at), cast(g, kept, 'float32'));
}

/** The sum of the weights from `least` on, `[C]`. */
export function massFrom(g: GraphBuilder, weights: GraphValue, least: GraphValue): GraphValue {
  return sum(g, weightsFrom(g, weights, least), [1], false);
}

/** `weights`, 0 below `least` `[C]`. */
export function weightsFrom(g: GraphBuilder, weights: GraphValue, least: GraphValue): GraphValue {
  const kept = g.op('GreaterEqual', [weights, column(g, least)], { T: attr.type('float32') });
  return mul(g, weights, cast(g, kept, 'float32'));
}

/**
 * One token of each row with probability proportional to its weight: a block of the vocabulary, then a token of it,
 * each found by walking through running sums. Weights that differ in their last bits (another batch size, another
 * machine) give the same token but where the draw falls on an edge.
 *
 * @param weights float32 `[C, V]`, not all 0 in a row
 * @param uniform float32 `[C]` in [0, 1] each: one number for the block and one for the token
 * @returns the tokens, int32 `[C]`, and their weights, float32 `[C]`
 */
export function proposeTokens(
  g: GraphBuilder,
  weights: GraphValue,
  uniform: { block: GraphValue; token: GraphValue },
  vocabSize: number,
): { ids: GraphValue; chosen: GraphValue } {
  const size = blockSize(vocabSize);
  const blocks = reshape(g, weights, [-1, vocabSize / size, size]);
  const block = walk(g, sum(g, blocks, [2], false), uniform.block);
  const row = pick(g, blocks, cast(g, block, 'int32'));
  const token = walk(g, row, uniform.token);
  const ids = g.op('AddV2', [mul(g, block, size), token], { T: attr.type('float32') });
  return { ids: cast(g, ids, 'int32'), chosen: pick(g, row, cast(g, token, 'int32')) };
}

/** The sum of the weights above `chosen` `[C]`, by row. */
export function massAbove(g: GraphBuilder, weights: GraphValue, chosen: GraphValue): GraphValue {
  const above = g.op('Greater', [weights, column(g, chosen)], { T: attr.type('float32') });
  return sum(g, mul(g, weights, cast(g, above, 'float32')), [1], false);
}

/** The largest divisor of the vocabulary's size that is no larger than a block may be. */
function blockSize(vocabSize: number): number {
  let size = Math.min(LARGEST_BLOCK, vocabSize);
  while (vocabSize % size !== 0) size--;
  return size;
}

/** The place in each row of `values` `[C, n]` where the running sum passes `uniform` of the whole; float32 `[C]`. */
function walk(g: GraphBuilder, values: GraphValue, uniform: GraphValue): GraphValue {
  const running = g.op('Cumsum', [values, g.constant('int32', 1)], {
    T: attr.type('float32'),
    Tidx: attr.type('int32'),
    exclusive: attr.bool(false),
    reverse: attr.bool(false),
  });
  const whole = max(g, running, [1]);
  const passed = count(g, g.op('LessEqual', [running, mul(g, whole, column(g, uniform))], float32));
  // Rounding may bring the sought sum up to the whole, which the last token that weighs anything reaches.
  return minimum(g, passed, count(g, g.op('Less', [running, whole], float32)));
}

const float32 = { T: attr.type('float32') };

function count(g: GraphBuilder, holds: GraphValue): GraphValue {
  return sum(g, cast(g, holds, 'float32'), [1], false);
}

function column(g: GraphBuilder, x: GraphValue): GraphValue {
  return reshape(g, x, [-1, 1]);
}

/** `x[c, index[c], ...]` of `x` `[C, n, ...]`. */
function pick(g: GraphBuilder, x: GraphValue, index: GraphValue): GraphValue {
  return g.op('GatherV2', [x, index, g.constant('int32', 1)], {
    Tparams: attr.type(x.dtype),
    Tindices: attr.type('int32'),
    Taxis: attr.type('int32'),
    batch_dims: attr.int(1),
  });
}
