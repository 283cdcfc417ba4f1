/** The output end of the model as graph functions: chosen rows of the last hidden states to token scores, and back. */

import { cast, gather, mul } from '../kernels/graph-math.js';
import { embed } from '../kernels/packed-layout.js';
import { rmsNorm, rmsNormGradient } from '../kernels/rms-norm.js';
import { headGradient, hiddenGradient, tokenLogits, tokenScores } from '../kernels/token-logps.js';
import { attr } from '../runtime/attributes.js';
import { defineNamed, type NamedFunction } from '../runtime/named-function.js';
import type { Dtypes } from './layer-graph.js';
import type { ModelConfig } from './model-config.js';

export interface HeadFunctions {
  /** `ids` to rows of the embedding, `x` `[N, D]`. */
  embed: NamedFunction;
  /** `logps` of one chunk of tokens, nothing else. */
  logps: NamedFunction;
  /** `logps`, the statistics that TRL logs, and `dNormed`, each token's own `d logp / d h`. */
  scores: NamedFunction;
  /** What `scores` returns, and `logSumSquares`. */
  weightingScores: NamedFunction;
  /** `logits` of rows of the last hidden states, and `normed`, the rows behind the final norm. */
  logits: NamedFunction;
  /** From `d loss / d logp` to the gradient of the last hidden states, and of the final norm. */
  backward: NamedFunction;
  /** The head's gradient from one chunk of tokens. */
  headGradient: NamedFunction;
}

export function headFunctions(
  config: ModelConfig,
  { dtype, activationDtype, weightDtype }: Dtypes,
): HeadFunctions {
  const eps = config.rmsNormEps;
  const rows = { hidden: activationDtype, finalNorm: 'float32', indices: 'int32' } as const;
  const chunk = { ...rows, labels: 'int32', head32: 'float32' } as const;
  const scoresFunction = (weighting: boolean) =>
    defineNamed('token_scores', { ...chunk, head: dtype }, (g, v) => {
      const normed = rmsNorm(g, gather(g, v.hidden!, v.indices!), v.finalNorm!, eps);
      const { scores, negativeGradient } = tokenScores(g, normed, v.head32!, v.labels!);
      const { logSumSquares, ...always } = scores;
      const dNormed = cast(g, hiddenGradient(g, negativeGradient, v.head!), activationDtype);
      return { ...always, dNormed, ...(weighting && { logSumSquares }) };
    });
  return {
    embed: defineNamed('embed', { table: weightDtype, ids: 'int32' }, (g, { table, ids }) => ({
      x: embed(g, table!, ids!, activationDtype),
    })),
    logps: defineNamed('token_logps', chunk, (g, v) => {
      const normed = rmsNorm(g, gather(g, v.hidden!, v.indices!), v.finalNorm!, eps);
      return { logps: tokenScores(g, normed, v.head32!, v.labels!).scores.logps };
    }),
    scores: scoresFunction(false),
    weightingScores: scoresFunction(true),
    logits: defineNamed('token_logits', { ...rows, head32: 'float32' }, (g, v) => {
      const normed = rmsNorm(g, gather(g, v.hidden!, v.indices!), v.finalNorm!, eps);
      return { logits: tokenLogits(g, normed, v.head32!), normed };
    }),
    backward: defineNamed(
      'head_backward',
      { ...rows, dNormed: activationDtype, dLogps: 'float32', tokens: 'int32' },
      (g, v) => {
        const x = gather(g, v.hidden!, v.indices!);
        const dNormed = mul(g, cast(g, v.dNormed!, 'float32'), v.dLogps!);
        const { dx, dw } = rmsNormGradient(g, x, v.finalNorm!, dNormed, eps, 2);
        // The last prompt token predicts the first token of both responses: its row gathers from both.
        const spread = g.op('UnsortedSegmentSum', [dx, v.indices!, v.tokens!], {
          T: attr.type('float32'),
          Tindices: attr.type('int32'),
          Tnumsegments: attr.type('int32'),
        });
        return { dHidden: cast(g, spread, activationDtype), 'd:finalNorm': dw };
      },
    ),
    headGradient: defineNamed('head_gradient', { ...chunk, dLogps: 'float32' }, (g, v) => {
      const normed = rmsNorm(g, gather(g, v.hidden!, v.indices!), v.finalNorm!, eps);
      const { negativeGradient } = tokenScores(g, normed, v.head32!, v.labels!);
      return { dHead: headGradient(g, negativeGradient, cast(g, normed, dtype), v.dLogps!) };
    }),
  };
}
