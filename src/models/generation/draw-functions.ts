/** The graph functions that choose tokens, built once for each size of vocabulary. */

import {
  massAbove,
  massFrom,
  proposeTokens,
  samplingWeights,
  topKWeight,
  weightsFrom,
} from '../../kernels/decode-draw.js';
import { maximum, mul, sum } from '../../kernels/graph-math.js';
import { attr } from '../../runtime/attributes.js';
import type { DType } from '../../runtime/dtypes.js';
import type { GraphBuilder, GraphValue } from '../../runtime/graph-function.js';
import { defineNamed, type NamedFunction } from '../../runtime/named-function.js';

export interface DrawFunctions {
  /** `logits` `[C, V]` to `ids` `[C]`, the likeliest token of each row. */
  likeliest: NamedFunction;
  /** `logits` `[R, V]`, `rows` and `ids` `[C]` to `values` `[C]`. */
  logitsAt: NamedFunction;
  /** `logits` `[C, V]` with those at `places` `[n, 2]` divided by `penalty` `[n]` where positive, multiplied elsewhere. */
  penalized: NamedFunction;
  /** `weights` `[C, V]`, and for each row `least` and `target` (see kernels/decode-draw), from what is asked of it. */
  weights: NamedFunction;
  /** {@link DrawFunctions.weights} where some rows keep their `k` likeliest tokens alone. */
  topKWeights: NamedFunction;
  /** A proposal for each row: `ids`, `chosen`, and with a nucleus `above`, the mass of likelier tokens. */
  propose(bounded: boolean, nucleus: boolean): NamedFunction;
}

const built = new Map<number, DrawFunctions>();

export function drawFunctions(vocabSize: number): DrawFunctions {
  let functions = built.get(vocabSize);
  if (functions === undefined) {
    const proposals = new Map<string, NamedFunction>();
    functions = {
      likeliest: likeliestFunction(),
      logitsAt: logitsAtFunction(),
      penalized: penalizedFunction(),
      weights: weightsFunction(false),
      topKWeights: weightsFunction(true),
      propose(bounded, nucleus) {
        const key = `${bounded} ${nucleus}`;
        const known = proposals.get(key) ?? proposeFunction(vocabSize, bounded, nucleus);
        proposals.set(key, known);
        return known;
      },
    };
    built.set(vocabSize, functions);
  }
  return functions;
}

function likeliestFunction(): NamedFunction {
  return defineNamed('likeliest_tokens', { logits: 'float32' }, (g, { logits }) => ({
    ids: g.op('ArgMax', [logits!, g.constant('int32', 1)], {
      T: attr.type('float32'),
      Tidx: attr.type('int32'),
      output_type: attr.type('int32'),
    }),
  }));
}

function logitsAtFunction(): NamedFunction {
  const inputs = { logits: 'float32', rows: 'int32', ids: 'int32' } as const;
  return defineNamed('logits_at', inputs, (g, { logits, rows, ids }) => {
    const pair = g.op('Pack', [[rows!, ids!]], { N: attr.int(2), T: attr.type('int32'), axis: attr.int(1) });
    return { values: gatherNd(g, logits!, pair) };
  });
}

function penalizedFunction(): NamedFunction {
  const inputs = { logits: 'float32', places: 'int32', penalty: 'float32' } as const;
  return defineNamed('penalized_logits', inputs, (g, { logits, places, penalty }) => {
    const float = { T: attr.type('float32') };
    const before = gatherNd(g, logits!, places!);
    const negative = g.op('Less', [before, g.constant('float32', 0)], float);
    const after = g.op(
      'SelectV2',
      [negative, mul(g, before, penalty!), g.op('RealDiv', [before, penalty!], float)],
      float,
    );
    return {
      logits: g.op('TensorScatterUpdate', [logits!, places!, after], {
        T: attr.type('float32'),
        Tindices: attr.type('int32'),
      }),
    };
  });
}

function gatherNd(g: GraphBuilder, x: GraphValue, indices: GraphValue): GraphValue {
  return g.op('GatherNd', [x, indices], {
    Tparams: attr.type(x.dtype),
    Tindices: attr.type('int32'),
  });
}

/** Top-k first, top-p of what it leaves, then min-p: transformers' order. */
function weightsFunction(topK: boolean): NamedFunction {
  const inputs: Record<string, DType> = {
    ...{ logits: 'float32', temperature: 'float32', topP: 'float32', minP: 'float32' },
    ...(topK && { most: 'int32', place: 'int32' }),
  };
  return defineNamed('sampling_weights', inputs, (g, v) => {
    const weights = samplingWeights(g, v.logits!, v.temperature!);
    const cut = topK ? topKWeight(g, weights, v.most!, v.place!) : undefined;
    const mass = cut === undefined ? sum(g, weights, [1], false) : massFrom(g, weights, cut);
    const least = cut === undefined ? v.minP! : maximum(g, cut, v.minP!);
    return { weights, least, target: mul(g, mass, v.topP!) };
  });
}

function proposeFunction(vocabSize: number, bounded: boolean, nucleus: boolean): NamedFunction {
  const inputs: Record<string, DType> = {
    ...{ weights: 'float32', inBlocks: 'float32', inBlock: 'float32' },
    ...(bounded && { least: 'float32' }),
  };
  return defineNamed('propose_tokens', inputs, (g, v) => {
    const eligible = bounded ? weightsFrom(g, v.weights!, v.least!) : v.weights!;
    const { ids, chosen } = proposeTokens(g, eligible, { block: v.inBlocks!, token: v.inBlock! }, vocabSize);
    // What is likelier than an eligible token is eligible itself.
    return { ids, chosen, ...(nucleus && { above: massAbove(g, eligible, chosen) }) };
  });
}
