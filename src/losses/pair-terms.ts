import type { Arithmetic } from './arithmetic.js';
import type { FDivergenceType, ResolvedDpoOptions } from './dpo-options.js';

/** Sums of the log-probabilities of each pair's completion tokens, `[B]` each. */
export interface PairLogps<V> {
  policyChosen: V;
  policyRejected: V;
  referenceChosen: V;
  referenceRejected: V;
}

/** What only some losses ask for: how many tokens the sums run over. */
export interface PairLengths<V> {
  /** Completion tokens of each response, at least 1, `[B]`. */
  chosen: V;
  rejected: V;
  /** Sums of the policy's log-probabilities of every chosen token, whatever `ldAlpha` says, `[B]`. */
  chosenTokenLogps: V;
  /** Of the batch these pairs are a part of, or the whole. */
  batch: BatchTotals;
}

export interface BatchTotals {
  pairCount: number;
  chosenTokenCount: number;
}

/** The quantities that the losses are written in, `[B]` each. */
export interface PairTerms<V, S> {
  m: Arithmetic<V, S>;
  logps: PairLogps<V>;
  /** `log π(y_w|x) - log π_ref(y_w|x)` */
  chosenLogratios: V;
  /** `log π(y_l|x) - log π_ref(y_l|x)` */
  rejectedLogratios: V;
  /** `f'(π / π_ref)`: the log-ratio itself for reverse KL. */
  chosenScores: V;
  rejectedScores: V;
  /** `Δ = chosenScores - rejectedScores` */
  delta: V;
  lengths: PairLengths<V> | null;
}

export function pairTerms<V, S>(
  m: Arithmetic<V, S>,
  logps: PairLogps<V>,
  lengths: PairLengths<V> | null,
  { fDivergenceType, fAlphaDivergenceCoef }: ResolvedDpoOptions,
): PairTerms<V, S> {
  const chosenLogratios = m.sub(logps.policyChosen, logps.referenceChosen);
  const rejectedLogratios = m.sub(logps.policyRejected, logps.referenceRejected);
  const chosenScores = divergenceScore(m, chosenLogratios, fDivergenceType, fAlphaDivergenceCoef);
  const rejectedScores = divergenceScore(m, rejectedLogratios, fDivergenceType, fAlphaDivergenceCoef);
  const delta = m.sub(chosenScores, rejectedScores);
  return {
    m,
    logps,
    chosenLogratios,
    rejectedLogratios,
    chosenScores,
    rejectedScores,
    delta,
    lengths,
  };
}

/** `β r`, the implicit rewards, which are of the log-ratios whatever the divergence. */
export function implicitRewards<V, S>(
  { m, chosenLogratios, rejectedLogratios }: PairTerms<V, S>,
  { beta }: ResolvedDpoOptions,
): { chosenRewards: V; rejectedRewards: V } {
  return { chosenRewards: m.mul(chosenLogratios, beta), rejectedRewards: m.mul(rejectedLogratios, beta) };
}
/** Beyond it `exp` leaves float32; TRL clamps there too. */
const MAX_EXPONENT = 80;

/**
 * `f'(t)` at `t = π / π_ref`, given `log t` (f-DPO, arXiv 2309.16240, as in TRL):
 * reverse KL `log t`; forward KL `1 - 1/t`; Jensen-Shannon `log 2t/(1+t)`; α-divergence `(t^(α-1) - 1) / (α-1)`,
 * of which forward KL is the case α = 0 and reverse KL the limit α → 1.
 */
function divergenceScore<V, S>(m: Arithmetic<V, S>, logratios: V, type: FDivergenceType, alpha: number): V {
  switch (type) {
    case 'reverse_kl':
      return logratios;
    case 'forward_kl':
      return alphaScore(m, logratios, 0);
    case 'js_divergence':
      return m.add(m.neg(m.softplus(m.neg(logratios))), Math.LN2);
    case 'alpha_divergence':
      return Math.abs(alpha - 1) < 1e-6 ? logratios : alphaScore(m, logratios, alpha);
  }
}

function alphaScore<V, S>(m: Arithmetic<V, S>, logratios: V, alpha: number): V {
  const exponents = m.atMost(m.mul(logratios, alpha - 1), MAX_EXPONENT);
  return m.mul(m.expm1(exponents), 1 / (alpha - 1));
}
