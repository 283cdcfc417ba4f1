import { ConfigError } from '../errors.js';

/** TRL 1.13's `loss_type`. */
export const DPO_LOSS_TYPES = [
  'sigmoid',
  'hinge',
  'ipo',
  'exo_pair',
  'nca_pair',
  'robust',
  'bco_pair',
  'sppo_hard',
  'aot',
  'aot_unpaired',
  'apo_zero',
  'apo_down',
  'discopop',
  'sft',
  'sigmoid_norm',
] as const;
/** One of `DPO_LOSS_TYPES`. */
export type DpoLossType = (typeof DPO_LOSS_TYPES)[number];

/** TRL 1.13's `f_divergence_type`. */
export const F_DIVERGENCE_TYPES = ['reverse_kl', 'forward_kl', 'js_divergence', 'alpha_divergence'] as const;
/** One of `F_DIVERGENCE_TYPES`. */
export type FDivergenceType = (typeof F_DIVERGENCE_TYPES)[number];

/** Options of the DPO losses: TRL 1.13's, with its defaults, in camelCase. */
export interface DpoOptions {
  /** One loss, or several that are added up. Default `'sigmoid'`: Equation 1 of the paper. */
  lossType?: DpoLossType | readonly DpoLossType[];
  /** The weight of each loss in `lossType`. Default: 1 each. */
  lossWeights?: readonly number[] | null;
  /** β > 0: how strongly the policy is held to the reference (τ of IPO). Default 0.1. */
  beta?: number;
  /**
   * ε, the probability that a label is flipped: in [0, 1] for `sigmoid`, `aot` and `aot_unpaired`, in [0, 0.5)
   * for `robust`, in (0, 1) for `exo_pair`, unused elsewhere. Default 0. (TRL 1.13 ignores it for `sigmoid`;
   * here it gives conservative DPO, as in TRL before 1.0.)
   */
  labelSmoothing?: number;
  /**
   * The divergence from the reference, for losses of the chosen-rejected difference only (`sigmoid`,
   * `sigmoid_norm`, `hinge`, `ipo`, `exo_pair`, `robust`, `discopop`, `sft`). Default `'reverse_kl'`.
   */
  fDivergenceType?: FDivergenceType;
  /** α of `alpha_divergence`. Default 0.5. */
  fAlphaDivergenceCoef?: number;
  /** Temperature of `discopop`'s blend, > 0. Default 0.05. */
  discopopTau?: number;
  /**
   * LD-DPO: the weight, in [0, 1], of the tokens beyond the shorter response's length. Default `null`: every
   * token counts in full. Needs token log-probabilities.
   */
  ldAlpha?: number | null;
  /** WPO: weigh each pair by how likely it is under the policy. Default false. Needs token log-probabilities. */
  useWeighting?: boolean;
}

/** `DpoOptions` with its defaults filled in, and checked. */
export interface ResolvedDpoOptions {
  readonly lossType: readonly DpoLossType[];
  readonly lossWeights: readonly number[];
  readonly beta: number;
  readonly labelSmoothing: number;
  readonly fDivergenceType: FDivergenceType;
  readonly fAlphaDivergenceCoef: number;
  readonly discopopTau: number;
  readonly ldAlpha: number | null;
  readonly useWeighting: boolean;
}

/** A divergence other than reverse KL leaves a term `β log Z(x)` that only a difference of scores cancels. */
const DIFFERENCE_LOSSES: readonly DpoLossType[] = [
  'sigmoid',
  'sigmoid_norm',
  'hinge',
  'ipo',
  'exo_pair',
  'robust',
  'discopop',
  'sft',
];

const SORTING_LOSSES: readonly DpoLossType[] = ['aot', 'aot_unpaired'];

/** Fills in the defaults and checks every value and combination. Throws `ConfigError`. */
export function resolveDpoOptions(options: DpoOptions = {}): ResolvedDpoOptions {
  const lossType =
    typeof options.lossType === 'string' ? [options.lossType] : (options.lossType ?? ['sigmoid']);
  const resolved: ResolvedDpoOptions = {
    lossType,
    lossWeights: options.lossWeights ?? lossType.map(() => 1),
    beta: options.beta ?? 0.1,
    labelSmoothing: options.labelSmoothing ?? 0,
    fDivergenceType: options.fDivergenceType ?? 'reverse_kl',
    fAlphaDivergenceCoef: options.fAlphaDivergenceCoef ?? 0.5,
    discopopTau: options.discopopTau ?? 0.05,
    ldAlpha: options.ldAlpha ?? null,
    useWeighting: options.useWeighting ?? false,
  };
  checkLosses(resolved);
  checkNumbers(resolved);
  return resolved;
}

/**
 * Whether a pair's loss depends on the other pairs of its batch: `aot` and `aot_unpaired` sort over it, so it
 * must be handed over whole. Any other batch may be split. (`sft` divides by the batch's chosen tokens: a part
 * needs that total, `DpoTokens.batch`, but not the other pairs.)
 */
export function lossCouplesPairs(options: DpoOptions = {}): boolean {
  return resolveDpoOptions(options).lossType.some((type) => SORTING_LOSSES.includes(type));
}

function checkLosses({ lossType, lossWeights, fDivergenceType, useWeighting }: ResolvedDpoOptions): void {
  if (lossType.length === 0) throw new ConfigError('lossType: expected at least one loss, got none');
  for (const type of lossType) expectOneOf('lossType', type, DPO_LOSS_TYPES);
  expectOneOf('fDivergenceType', fDivergenceType, F_DIVERGENCE_TYPES);
  if (lossWeights.length !== lossType.length) {
    throw new ConfigError(
      `lossWeights: expected one weight for each of the ${lossType.length} losses in lossType, got ${lossWeights.length}`,
    );
  }
  for (const weight of lossWeights) expectNumber('lossWeights', weight, Number.isFinite, 'a finite number');

  const undivergent = lossType.find((type) => !DIFFERENCE_LOSSES.includes(type));
  if (fDivergenceType !== 'reverse_kl' && undivergent !== undefined) {
    throw new ConfigError(
      `fDivergenceType '${fDivergenceType}' is defined for ${DIFFERENCE_LOSSES.join(', ')} only, got lossType '${undivergent}'`,
    );
  }
  const sorting = lossType.find((type) => SORTING_LOSSES.includes(type));
  if (useWeighting && sorting !== undefined) {
    throw new ConfigError(
      `useWeighting weighs each pair, but lossType '${sorting}' sorts chosen and rejected apart; use one or the other`,
    );
  }
}

function checkNumbers(options: ResolvedDpoOptions): void {
  const { lossType, labelSmoothing, ldAlpha } = options;
  expectNumber('beta', options.beta, (x) => x > 0 && x < Infinity, 'a number above 0');
  expectNumber('discopopTau', options.discopopTau, (x) => x > 0 && x < Infinity, 'a number above 0');
  expectNumber('fAlphaDivergenceCoef', options.fAlphaDivergenceCoef, Number.isFinite, 'a finite number');
  expectNumber('labelSmoothing', labelSmoothing, (x) => x >= 0 && x <= 1, 'a number in [0, 1]');
  if (lossType.includes('robust')) {
    expectNumber(
      'labelSmoothing',
      labelSmoothing,
      (x) => x < 0.5,
      "a number in [0, 0.5) for lossType 'robust'",
    );
  }
  if (lossType.includes('exo_pair')) {
    const expected = "a number in (0, 1) for lossType 'exo_pair' (its paper recommends 1e-3)";
    expectNumber('labelSmoothing', labelSmoothing, (x) => x > 0 && x < 1, expected);
  }
  if (ldAlpha !== null)
    expectNumber('ldAlpha', ldAlpha, (x) => x >= 0 && x <= 1, 'null or a number in [0, 1]');
}

function expectNumber(name: string, value: number, isValid: (x: number) => boolean, expected: string): void {
  if (typeof value !== 'number' || !isValid(value)) {
    throw new ConfigError(`${name}: expected ${expected}, got ${JSON.stringify(value) ?? String(value)}`);
  }
}

function expectOneOf(name: string, value: string, known: readonly string[]): void {
  if (!known.includes(value))
    throw new ConfigError(`${name}: expected one of ${known.join(', ')}, got '${value}'`);
}
