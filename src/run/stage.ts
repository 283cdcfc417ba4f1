/** What the machinery of a run knows of a stage; the stages themselves are in `stages/`. */

import type { Counts } from '../data/tally.js';
import type { ChatUsage } from '../llm/chat-model.js';
import type { StageProgress } from '../pairs/stage.js';
import type { OnlineTrainEvent } from '../train/online/events.js';
import type { Dependencies, OutputFile } from './manifest.js';
import type { StageName } from './stage-names.js';

/** Files that a stage reads. */
export interface StageInput {
  /** What plans and manifests call it: `conversations`, `rewrites`. */
  name: string;
  /** The stage of the run that writes it; null where it comes from outside. */
  from: StageName | null;
  /**
   * The files, in order.
   *
   * @throws ConfigError or DataError where there are none
   */
  files(): Promise<string[]>;
}

/** What a stage will ask of a language model, at most: replies that the cache has are not asked for. */
export interface StageEstimate {
  requests: number;
  promptTokens: number;
  completionTokens: number;
  /** At the rate that the model was measured at in this run; null before it has been asked anything. */
  seconds: number | null;
  /** In the currency of the model's prices; null where it has none. */
  cost: number | null;
}

/** Figures of stages that are done, by stage: what an estimate can be made from. */
export type KnownFacts = Partial<Record<StageName, Readonly<Record<string, number>>>>;

export interface RunStage {
  readonly name: StageName;
  /** Of its code: to be raised with every change that changes results. */
  readonly version: number;
  /** Options that results depend on, resolved. */
  readonly options: Dependencies['options'];
  /** Source of each prompt template by its name. */
  readonly templates: Readonly<Record<string, string>>;
  /** The model that is asked or trained, as one line; null for none. May become more precise once it was opened. */
  readonly model: string | null;
  readonly inputs: readonly StageInput[];
  /** Whether what a stopped run left in the stage's folder is gone on with: training has its checkpoints. */
  readonly resumes: boolean;
  /** Undefined where it asks no model, null where too little is known yet. */
  estimate(facts: KnownFacts): StageEstimate | null | undefined;
  run(work: StageWork): Promise<StageResult>;
}

/** What a stage works with. */
export interface StageWork {
  /** Where it writes its files; they appear in the run's folder once all of them are whole. */
  folder: string;
  /** Whether `folder` holds what an earlier, stopped run of the same stage has left. */
  resuming: boolean;
  /**
   * The stage's folder of an earlier time, where nothing but its inputs has changed since: what is in it may be brought
   * up to date. Null where it is to be made anew.
   */
  previous: string | null;
  /** Rows that a file must hold by its writer's count; null where that is not known. */
  expectedRows(file: string): number | null;
  signal: AbortSignal;
  onProgress(progress: StageProgress): void;
  onNotice(message: string): void;
  onTrainEvent(event: OnlineTrainEvent): void;
}

export interface StageResult {
  /** The files that later stages read, by name. */
  outputs: Record<string, OutputFile>;
  counts: Counts[];
  facts: Record<string, number>;
  modelIdentity: string | null;
  usage: ChatUsage | null;
}
