/** What the rewards of many rows come to. */

import type { ScoredRow } from './score-rows.js';

export interface PairAccuracy {
  pairs: number;
  /** Pairs whose chosen answer got the higher reward. */
  right: number;
  /** Pairs whose answers got the same reward: neither right nor wrong. */
  ties: number;
  /** `(right + ties / 2) / pairs` */
  accuracy: number;
}

export interface ScoreSummary {
  rows: number;
  candidates: number;
  /** Of all candidates. Null of none. */
  rewards: { mean: number; min: number; max: number } | null;
  /** Null without preference pairs. */
  pairs: PairAccuracy | null;
}

/** Counts rewards as they come. */
export class ScoreCounter {
  #rows = 0;
  #candidates = 0;
  #sum = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;
  #pairs = 0;
  #right = 0;
  #ties = 0;

  add({ row, rewards }: Extract<ScoredRow, { ok: true }>): void {
    this.#rows++;
    for (const reward of rewards) {
      this.#candidates++;
      this.#sum += reward;
      this.#min = Math.min(this.#min, reward);
      this.#max = Math.max(this.#max, reward);
    }
    if (!row.isPair) return;
    const [chosen = 0, rejected = 0] = rewards;
    this.#pairs++;
    if (chosen > rejected) this.#right++;
    if (chosen === rejected) this.#ties++;
  }

  summary(): ScoreSummary {
    const [pairs, right, ties] = [this.#pairs, this.#right, this.#ties];
    const rewards = { mean: this.#sum / this.#candidates, min: this.#min, max: this.#max };
    return {
      rows: this.#rows,
      candidates: this.#candidates,
      rewards: this.#candidates === 0 ? null : rewards,
      pairs: pairs === 0 ? null : { pairs, right, ties, accuracy: (right + ties / 2) / pairs },
    };
  }
}
