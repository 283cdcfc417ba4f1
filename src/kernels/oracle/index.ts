/**
 * The decoder and its parts in plain tfjs operations: slow, short, and differentiable on any tfjs backend. What the
 * compiled functions compute is held against it in tests, and so can be what a user writes.
 */

export { attention, type RowLayout, visibility } from './attention.js';
export {
  type DecoderShape,
  type DecoderWeights,
  decoderHead,
  decoderHiddenStates,
  type OracleDecoderOptions,
  sequenceLayout,
} from './decoder.js';
export { embed, type LowRankFactors, linear, lowRankUpdate, rmsNorm, rotate, swiglu } from './layers.js';
export { type OracleTokenScores, tokenScores } from './token-scores.js';
