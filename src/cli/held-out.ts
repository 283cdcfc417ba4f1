/** How well a model tells preferred from turned-down answers that it was not trained on. */

/** Log-probabilities of one pair's answers, summed over their tokens. */
export interface ScoredPair {
  user: string;
  chosenLogp: number;
  rejectedLogp: number;
  chosenTokens: number;
  rejectedTokens: number;
}

export interface BeforeAfter {
  before: number;
  after: number;
}

export interface HeldOutScores {
  pairs: number;
  /**
   * Share of pairs where knowing the persona moves the model towards the chosen answer rather than the rejected
   * one, measured from the untrained model that knows no persona. A tie counts half, so that a model that
   * takes no notice of personas has 50%.
   */
  accuracy: BeforeAfter;
  /** Mean of that move in nats: `(chosen - chosen neutral) - (rejected - rejected neutral)`. */
  pull: BeforeAfter;
  /** TRL's `rewards/accuracies` against the untrained model with the persona (a tie counts half here). */
  rewardAccuracy: number;
  /** TRL's `rewards/margins`: `beta ((chosen - chosen before) - (rejected - rejected before))`, a mean. */
  rewardMargin: number;
  /**
   * Share of pairs whose chosen answer is simply the likelier one per token: mostly a matter of which style the
   * model writes anyway, whoever asks.
   */
  likelier: BeforeAfter;
}

export interface HeldOutRuns {
  /** The untrained model without personas. */
  neutral: readonly ScoredPair[];
  /** The untrained model with personas. */
  before: readonly ScoredPair[];
  /** The trained model with personas. */
  after: readonly ScoredPair[];
}

/** Compares the same pairs, in the same order, in three runs. */
export function compareHeldOut(
  { neutral, before, after }: HeldOutRuns,
  { beta }: { beta: number },
): HeldOutScores {
  const pulls = { before: moves(neutral, before), after: moves(neutral, after) };
  const rewards = moves(before, after);
  return {
    pairs: after.length,
    accuracy: { before: mean(pulls.before.map(win)), after: mean(pulls.after.map(win)) },
    pull: { before: mean(pulls.before), after: mean(pulls.after) },
    rewardAccuracy: mean(rewards.map(win)),
    rewardMargin: beta * mean(rewards),
    likelier: { before: mean(before.map(likelier)), after: mean(after.map(likelier)) },
  };
}

/** By how much each pair's chosen answer gained on its rejected one. */
function moves(from: readonly ScoredPair[], to: readonly ScoredPair[]): number[] {
  return to.map((pair, i) => {
    const base = from[i] as ScoredPair;
    return pair.chosenLogp - base.chosenLogp - (pair.rejectedLogp - base.rejectedLogp);
  });
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
