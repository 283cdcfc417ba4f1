/** The loss of labels against logits, and its gradient. */

import { attr } from '../runtime/attributes.js';
import type { GraphBuilder, GraphValue } from '../runtime/graph-function.js';
import { runsOnGpu } from '../runtime/runtime.js';
import { exp, neg, reshape, sizeOf, sub } from './graph-math.js';

export interface CrossEntropy {
  /** `-log p(label)`, `[C]`. */
  loss: GraphValue;
  /** `p - onehot`, `[C, V]`. */
  negativeGradient: GraphValue;
}

/**
 * @param logits float32 `[C, V]`
 * @param labels int32 `[C]`
 */
export function crossEntropy(g: GraphBuilder, logits: GraphValue, labels: GraphValue): CrossEntropy {
  return runsOnGpu() ? inParts(g, logits, labels) : inOne(g, logits, labels);
}

/** One operation, which on a GPU adds up in an order of its own at each run: TensorFlow refuses it there. */
export function inOne(g: GraphBuilder, logits: GraphValue, labels: GraphValue): CrossEntropy {
  const attributes = { T: attr.type('float32'), Tlabels: attr.type('int32') };
  const outputs = g.ops('SparseSoftmaxCrossEntropyWithLogits', [logits, labels], attributes, 2);
  const [loss, negativeGradient] = outputs as [GraphValue, GraphValue];
  return { loss, negativeGradient };
}

/** The same out of operations that give the same bits at each run on a GPU as well. */
export function inParts(g: GraphBuilder, logits: GraphValue, labels: GraphValue): CrossEntropy {
  const T = attr.type('float32');
  const logp = g.op('LogSoftmax', [logits], { T });
  const rows = reshape(g, labels, [-1, 1]);
  const chosen = g.op('GatherV2', [logp, rows, g.constant('int32', 1)], {
    ...{ Tparams: T, Tindices: attr.type('int32'), Taxis: attr.type('int32'), batch_dims: attr.int(1) },
  });
  const onehot = g.op(
    'OneHot',
    [labels, width(g, logits), g.constant('float32', 1), g.constant('float32', 0)],
    { T, TI: attr.type('int32'), axis: attr.int(-1) },
  );
  return { loss: neg(g, reshape(g, chosen, [-1])), negativeGradient: sub(g, exp(g, logp), onehot) };
}

/** The number of columns, a scalar. */
function width(g: GraphBuilder, matrix: GraphValue): GraphValue {
  return reshape(g, sizeOf(g, matrix, 1), []);
}
