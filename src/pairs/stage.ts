/** What every stage of the method takes beside its input and options. */

import type { Dropped, Tally } from '../data/tally.js';

export interface StageProgress {
  done: number;
  /** 0 where it is not known beforehand. */
  total: number;
  /** A few words: what is counted, rate, tokens. */
  text?: string;
}

/**
 * A stage is an async generator over rows: it reads its input as fast as it works, gives rows as they are ready, and
 * keeps its books in `tally`. The caller writes the rows; a stage touches no files. Work that was done before is not
 * asked for again, because the chat model's replies are cached: a stage that was killed is simply run again.
 */
export interface StageContext {
  tally: Tally;
  signal?: AbortSignal;
  onProgress?: (progress: StageProgress) => void;
  /** Something a person should know that is no error. */
  onNotice?: (message: string) => void;
}

export type { Dropped, Tally };
