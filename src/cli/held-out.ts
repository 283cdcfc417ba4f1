/** How well a model tells preferred from turned-down answers that it was not trained on. */

/** Log-probabilities of one pair's answers, summed over their tokens. */
export interface ScoredPair {
  user: string;
  chosenLogp: number;
  rejectedLogp: number;
  chosenTokens: number;
  rejectedTokens: number;
}

export interface HeldOutScores {
  pairs: number;
  /**
   * Share of pairs whose chosen answer is likelier per token than the rejected one. Per token, because a sum
   * prefers the shorter answer whatever it says. A tie counts half.
   */
  accuracy: { before: number; after: number };
  /** Mean of `beta ((chosen - chosen before) - (rejected - rejected before))`: 0 for the untrained model. */
  margin: number;
  /** Share of pairs with a margin above 0, TRL's `rewards/accuracies`; a tie counts half. */
  rewardAccuracy: number;
}

/** Compares the same pairs, in the same order, before and after training. */
export function compareHeldOut(
  before: readonly ScoredPair[],
  after: readonly ScoredPair[],
  { beta }: { beta: number },
): HeldOutScores {
  const margins = after.map((pair, i) => {
    const base = before[i] as ScoredPair;
    return beta * (pair.chosenLogp - base.chosenLogp - (pair.rejectedLogp - base.rejectedLogp));
  });
  return {
    pairs: after.length,
    accuracy: { before: mean(before.map(likelier)), after: mean(after.map(likelier)) },
    margin: mean(margins),
    rewardAccuracy: mean(margins.map(win)),
  };
}

function likelier(pair: ScoredPair): number {
  return win(pair.chosenLogp / pair.chosenTokens - pair.rejectedLogp / pair.rejectedTokens);
}

function win(difference: number): number {
  if (difference === 0) return 0.5;
  return difference > 0 ? 1 : 0;
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
