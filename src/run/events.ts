/** What a run tells while it works. */

import type { Counts } from '../data/tally.js';
import type { ChatUsage } from '../llm/chat-model.js';
import type { OnlineTrainEvent } from '../train/online/events.js';
import type { RunPlan, StageOutlook } from './plan.js';
import type { StageName } from './stage-names.js';

export type RunEvent =
  /** Before anything is done: which stages there are to do, and why. */
  | { type: 'plan'; plan: RunPlan }
  /** A stage is as it should be: nothing is done. */
  | { type: 'up-to-date'; stage: StageName }
  /** A stage begins, for these reasons. */
  | { type: 'stage'; stage: StageName; outlook: StageOutlook }
  | { type: 'progress'; stage: StageName; done: number; total: number; text?: string }
  /** Something the user should know that is no error. */
  | { type: 'notice'; stage: StageName | null; message: string }
  /** What training tells. */
  | { type: 'train'; event: OnlineTrainEvent }
  /** A stage is done and its files are in place. */
  | {
      type: 'done';
      stage: StageName;
      counts: Counts[];
      facts: Readonly<Record<string, number>>;
      usage: ChatUsage | null;
      seconds: number;
      /** Whether its rows are the same as before, so that what reads only them need not be done again. */
      same: boolean;
    };
