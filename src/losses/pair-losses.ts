import { ConfigError } from '../errors.js';
import type { Arithmetic } from './arithmetic.js';
import type { DpoLossType, ResolvedDpoOptions } from './dpo-options.js';
import type { PairLengths, PairTerms } from './pair-terms.js';

/**
 * A loss of each pair, `[B]`, from the pair's terms. Written below: `Δ` the difference of scores, `r_w` and
 * `r_l` the log-ratios of chosen and rejected, `σ` the logistic function, `-log σ(x)` as `softplus(-x)`.
 */
type PairLoss = <V, S>(terms: PairTerms<V, S>, options: ResolvedDpoOptions) => V;

/** The weighted sum of the losses in `lossType`, each times the pair's weight where there is one: `[B]`. */
export function weightedLosses<V, S>(
  terms: PairTerms<V, S>,
  options: ResolvedDpoOptions,
  pairWeights: V | null = null,
): V {
  const { m } = terms;
  const sum = options.lossType
    .map((type, k) => m.mul(pairLoss(type, terms, options), options.lossWeights[k]!))
    .reduce((a, b) => m.add(a, b));
  return pairWeights === null ? sum : m.mul(sum, pairWeights);
}

/** The loss of one type; formulas and conventions are TRL 1.13's (`trl/trainer/dpo_trainer.py`). */
function pairLoss<V, S>(type: DpoLossType, terms: PairTerms<V, S>, options: ResolvedDpoOptions): V {
  switch (type) {
    case 'sigmoid':
      return sigmoidLoss(terms, options);
    case 'hinge':
      return hingeLoss(terms, options);
    case 'ipo':
      return ipoLoss(terms, options);
    case 'exo_pair':
      return exoPairLoss(terms, options);
    case 'nca_pair':
      return ncaPairLoss(terms, options);
    case 'robust':
      return robustLoss(terms, options);
    case 'bco_pair':
      return bcoPairLoss(terms, options);
    case 'sppo_hard':
      return sppoHardLoss(terms, options);
    case 'aot':
      return aotLoss(terms, options);
    case 'aot_unpaired':
      return aotUnpairedLoss(terms, options);
    case 'apo_zero':
      return apoZeroLoss(terms, options);
    case 'apo_down':
      return apoDownLoss(terms, options);
    case 'discopop':
      return discopopLoss(terms, options);
    case 'sft':
      return sftTerm(terms, options);
    case 'sigmoid_norm':
      return sigmoidNormLoss(terms, options);
  }
}

/** `-(1-ε) log σ(βΔ) - ε log σ(-βΔ)`: DPO, Equation 1 of the paper at ε = 0 (arXiv 2305.18290, Eq. 7). */
const sigmoidLoss: PairLoss = ({ m, delta }, { beta, labelSmoothing }) =>
  smoothedLogistic(m, m.mul(delta, beta), labelSmoothing);

/** `max(0, 1 - βΔ)`: SLiC (arXiv 2305.10425), RSO (arXiv 2309.06657). */
const hingeLoss: PairLoss = ({ m, delta }, { beta }) => m.relu(m.add(m.mul(delta, -beta), 1));

/** `(Δ - 1/(2β))²`, Δ of scores per token where lengths are known: IPO (arXiv 2310.12036, Eq. 17). */
const ipoLoss: PairLoss = (terms, { beta }) => {
  const { m, lengths } = terms;
  const delta = lengths === null ? terms.delta : deltaPerToken(terms, lengths);
  return m.square(m.add(delta, -1 / (2 * beta)));
};

/** `σ(βΔ) (log σ(βΔ) - log(1-ε)) + σ(-βΔ) (log σ(-βΔ) - log ε)`: EXO (arXiv 2402.00856, Eq. 16). */
const exoPairLoss: PairLoss = ({ m, delta }, { beta, labelSmoothing }) => {
  const divergence = (x: typeof delta, prior: number) =>
    m.mul(m.sigmoid(x), m.add(m.neg(m.softplus(m.neg(x))), -prior));
  return m.add(
    divergence(m.mul(delta, beta), Math.log1p(-labelSmoothing)),
    divergence(m.mul(delta, -beta), Math.log(labelSmoothing)),
  );
};

/** `-log σ(βr_w) - ½ log σ(-βr_w) - ½ log σ(-βr_l)`: NCA (arXiv 2402.05369). */
const ncaPairLoss: PairLoss = ({ m, chosenLogratios, rejectedLogratios }, { beta }) => {
  const chosen = m.mul(chosenLogratios, beta);
  const pushedDown = m.add(m.softplus(chosen), m.softplus(m.mul(rejectedLogratios, beta)));
  return m.add(m.softplus(m.neg(chosen)), m.mul(pushedDown, 0.5));
};

/** `(-(1-ε) log σ(βΔ) + ε log σ(-βΔ)) / (1-2ε)`: unbiased under flipped labels (arXiv 2403.00409). */
const robustLoss: PairLoss = ({ m, delta }, { beta, labelSmoothing }) => {
  const logit = m.mul(delta, beta);
  const clean = m.mul(m.softplus(m.neg(logit)), 1 - labelSmoothing);
  const flipped = m.mul(m.softplus(logit), labelSmoothing);
  return m.mul(m.sub(clean, flipped), 1 / (1 - 2 * labelSmoothing));
};

/** `-log σ(βr_w) - log σ(-βr_l)`: BCO without its moving baseline (arXiv 2404.04656). */
const bcoPairLoss: PairLoss = ({ m, chosenLogratios, rejectedLogratios }, { beta }) =>
  m.add(m.softplus(m.mul(chosenLogratios, -beta)), m.softplus(m.mul(rejectedLogratios, beta)));

/** `(r_w - 1/(2β))² + (r_l + 1/(2β))²`: SPPO with hard labels (arXiv 2405.00675, Eq. 4.7). */
const sppoHardLoss: PairLoss = ({ m, chosenLogratios, rejectedLogratios }, { beta }) =>
  m.add(m.square(m.add(chosenLogratios, -0.5 / beta)), m.square(m.add(rejectedLogratios, 0.5 / beta)));

/**
 * The sigmoid loss of sorted policy log-ratios (chosen over rejected) against sorted reference ones: paired
 * AOT (arXiv 2406.05882). Couples the pairs of a batch; the k-th value belongs to the k-th rank, not pair.
 */
const aotLoss: PairLoss = ({ m, logps }, { beta, labelSmoothing }) => {
  const policy = m.sort(m.sub(logps.policyChosen, logps.policyRejected));
  const reference = m.sort(m.sub(logps.referenceChosen, logps.referenceRejected));
  return smoothedLogistic(m, m.mul(m.sub(policy, reference), beta), labelSmoothing);
};

/** The sigmoid loss of sorted `r_w` against sorted `r_l`: unpaired AOT. Couples the pairs, as `aot` does. */
const aotUnpairedLoss: PairLoss = ({ m, chosenLogratios, rejectedLogratios }, { beta, labelSmoothing }) => {
  const delta = m.sub(m.sort(chosenLogratios), m.sort(rejectedLogratios));
  return smoothedLogistic(m, m.mul(delta, beta), labelSmoothing);
};

/** `1 - σ(βr_w) + σ(βr_l)`: chosen up, rejected down (arXiv 2408.06266, Eq. 7). */
const apoZeroLoss: PairLoss = ({ m, chosenLogratios, rejectedLogratios }, { beta }) =>
  m.add(m.sigmoid(m.mul(chosenLogratios, -beta)), m.sigmoid(m.mul(rejectedLogratios, beta)));

/** `σ(βr_w) + 1 - σ(β(r_w - r_l))`: both down, rejected further (arXiv 2408.06266, Eq. 8). */
const apoDownLoss: PairLoss = ({ m, chosenLogratios, rejectedLogratios }, { beta }) => {
  const difference = m.sub(chosenLogratios, rejectedLogratios);
  return m.add(m.sigmoid(m.mul(chosenLogratios, beta)), m.sigmoid(m.mul(difference, -beta)));
};

/**
 * `-(1-s) log σ(βΔ) + s exp(-βΔ)` with `s = σ(βΔ/τ)`: DiscoPOP (arXiv 2406.08414, Eq. 5). `s exp(-βΔ)` is
 * taken as one exponential, since its factors alone would be `0 · ∞` for a very negative Δ.
 */
const discopopLoss: PairLoss = ({ m, delta }, { beta, discopopTau }) => {
  const negated = m.mul(delta, -beta);
  const overTau = m.mul(negated, 1 / discopopTau);
  const logistic = m.mul(m.softplus(negated), m.sigmoid(overTau));
  return m.add(logistic, m.exp(m.sub(negated, m.softplus(overTau))));
};

/**
 * `-B/T log π(y_w|x)`, `T` the chosen tokens of the batch: each pair's share of a mean over tokens, such that
 * the mean over the pairs is `-Σ log π(y_w,t|·) / T`, as TRL has it.
 */
const sftTerm: PairLoss = ({ m, lengths }) => {
  const { chosenTokenLogps, batch } = expectLengths('sft', lengths);
  return m.mul(chosenTokenLogps, -batch.pairCount / Math.max(batch.chosenTokenCount, 1));
};

/** `-log σ(βΔ)`, Δ of scores per token: length-normalized DPO, as in Tülu 3 (arXiv 2411.15124). */
const sigmoidNormLoss: PairLoss = (terms, { beta }) => {
  const delta = deltaPerToken(terms, expectLengths('sigmoid_norm', terms.lengths));
  return terms.m.softplus(terms.m.mul(delta, -beta));
};

/** `-(1-ε) log σ(x) - ε log σ(-x)` */
function smoothedLogistic<V, S>(m: Arithmetic<V, S>, logit: V, epsilon: number): V {
  const clean = m.softplus(m.neg(logit));
  if (epsilon === 0) return clean;
  return m.add(m.mul(clean, 1 - epsilon), m.mul(m.softplus(logit), epsilon));
}

/** `chosenScores / |y_w| - rejectedScores / |y_l|` */
function deltaPerToken<V, S>(
  { m, chosenScores, rejectedScores }: PairTerms<V, S>,
  lengths: PairLengths<V>,
): V {
  return m.sub(m.div(chosenScores, lengths.chosen), m.div(rejectedScores, lengths.rejected));
}

function expectLengths<V>(type: DpoLossType, lengths: PairLengths<V> | null): PairLengths<V> {
  if (lengths !== null) return lengths;
  throw new ConfigError(`lossType '${type}': expected chosenLengths and rejectedLengths, got none`);
}
