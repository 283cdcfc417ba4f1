/** The books of one stage: what came in, what went out, and why the rest did not. */

import { PersonaDpoError } from '../errors.js';

/** Counts of a stage that add up: `in = out + sum of dropped`. */
export interface Counts {
  /** What is counted, in the plural: `conversations`, `follow-ups`. */
  unit: string;
  in: number;
  out: number;
  /** By reason; a reason is a short name that does not change (`too-many-turns`). */
  dropped: Record<string, number>;
  /** What was done to, or found in, those that went out, by a short name; not part of the sum. Absent for nothing. */
  noted?: Record<string, number>;
}

/** One thing that a stage left out, as it goes into the stage's `dropped.jsonl`. */
export interface Dropped {
  /** The id of what was left out. */
  id: string;
  /** The short name it is counted under. */
  reason: string;
  /** What a person may want to know beside the reason. */
  detail?: string;
  /** Whose it was, where that is known: what is kept of a user can then be found again. */
  user?: string;
  file?: string;
  /** 1-based line or row of `file`. */
  row?: number;
}

/** Counts as a stage goes; `onDrop` receives each thing left out, so that nothing disappears without a trace. */
export class Tally {
  readonly #unit: string;
  readonly #onDrop: ((dropped: Dropped) => void) | undefined;
  readonly #dropped: Record<string, number> = {};
  readonly #noted: Record<string, number> = {};
  #in = 0;
  #out = 0;

  constructor(unit: string, onDrop?: (dropped: Dropped) => void) {
    this.#unit = unit;
    this.#onDrop = onDrop;
  }

  enter(count = 1): void {
    this.#in += count;
  }

  leave(count = 1): void {
    this.#out += count;
  }

  drop(dropped: Dropped): void {
    this.addDropped(dropped.reason, 1);
    this.#onDrop?.(dropped);
  }

  /** Counts without a trace of each, where the trace is written elsewhere. */
  addDropped(reason: string, count: number): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + count;
  }

  /** Counts something worth knowing of what goes out: a conversation that was cut, a check that was skipped. */
  note(name: string, count = 1): void {
    this.#noted[name] = (this.#noted[name] ?? 0) + count;
  }

  /**
   * The counts so far.
   *
   * @throws PersonaDpoError (`COUNTS`) where they do not add up: a stage lost something
   */
  counts(): Counts {
    const dropped = Object.values(this.#dropped).reduce((sum, count) => sum + count, 0);
    if (this.#in !== this.#out + dropped) {
      throw new PersonaDpoError(
        'COUNTS',
        `${this.#in} ${this.#unit} came in, but ${this.#out} went out and ${dropped} were dropped: some are unaccounted for`,
        { details: { in: this.#in, out: this.#out, dropped: this.#dropped } },
      );
    }
    const counts = { unit: this.#unit, in: this.#in, out: this.#out, dropped: { ...this.#dropped } };
    return Object.keys(this.#noted).length === 0 ? counts : { ...counts, noted: { ...this.#noted } };
  }
}
