import type { HubOptions } from '../models/hub-options.js';
import { printJson } from './command.js';
import { withInterrupt } from './interrupt.js';
import { hubOptions } from './open-model.js';
import { createProgress, type Progress, silentProgress } from './progress.js';

export interface FollowOptions {
  /** Print events as JSON lines instead of drawing progress. */
  json?: boolean;
  /** Lines to be shown before the run. */
  notices?: readonly string[];
  progress?: Progress;
}

/** What a trainer is given to be followed and stopped by. */
interface Hooks<Event> {
  onEvent: (event: Event) => void;
  signal: AbortSignal;
  hub: HubOptions;
}

/** A kind of training, as the command line follows it. */
interface FollowedTraining<Event, Summary> {
  train: (hooks: Hooks<Event>) => Promise<Summary>;
  /** What shows its events. */
  printer: (progress: Progress) => (event: Event) => void;
  /** What it does at the first Ctrl-C. */
  stopping?: string;
}

/** Runs a training with progress on standard error; the first Ctrl-C saves and stops, a second ends at once. */
export async function followTraining<Event, Summary>(
  { train, printer, stopping = 'Stopping after this step and saving' }: FollowedTraining<Event, Summary>,
  { json = false, notices = [], progress = createProgress() }: FollowOptions = {},
): Promise<Summary> {
  for (const notice of notices) progress.line(`note: ${notice}`);
  const onEvent = json ? (event: Event) => printJson(event) : printer(progress);
  const hub = hubOptions(json ? silentProgress() : progress);
  try {
    return await withInterrupt(
      (signal) => train({ onEvent, signal, hub }),
      () => progress.line(`${stopping}; press Ctrl-C again to end at once.`),
    );
  } finally {
    progress.end();
  }
}
