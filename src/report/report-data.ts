/** What a report shows, as plain data: the page holds exactly this, and whoever reads run folders makes it. */

import type { Message } from '../data/pairs.js';
import type { Counts } from '../data/tally.js';
import type { EvaluationAnswers, EvaluationResult } from '../eval/results.js';

export interface ReportData {
  title: string;
  /** Name and version of this package. */
  writtenBy: string;
  /** ISO 8601, UTC. */
  writtenAt: string;
  /** At least one. */
  runs: ReportRun[];
}

export interface ReportRun {
  /** What the run is called; no two are called the same. */
  name: string;
  /** Its folder, as it was given. */
  folder: string;
  /** The resolved configuration as YAML; null where the run has none. */
  config: string | null;
  /** The same by dotted names, for comparing runs. */
  settings: Record<string, string>;
  stages: ReportStage[];
  trainings: ReportTraining[];
  evaluations: EvaluationResult[];
  /** Everybody of whom something is known. */
  personas: ReportPersona[];
  personasInAll: number;
  pairs: ReportPair[];
  /** Pairs of the run, of which the report holds the first. */
  pairsInAll: number;
  /** Conversations that pairs come from, by id. */
  conversations: Record<string, ReportConversation>;
}

export interface ReportUsage {
  requests: number;
  cached: number;
  failed: number;
  promptTokens: number;
  completionTokens: number;
  cost: number | null;
}

export interface ReportStage {
  name: string;
  /** What it does, in a few words. */
  title: string;
  done: boolean;
  counts: Counts[];
  /** Things that were left out, a few of each reason. */
  examples: { reason: string; id: string; detail?: string }[];
  seconds: number | null;
  usage: ReportUsage | null;
  /** The language model that was asked. */
  model: string | null;
  startedAt: string | null;
  finishedAt: string | null;
  /** Of the package and Node, and the machine where that was written down. */
  versions: Record<string, string>;
  files: { name: string; rows: number | null; bytes: number }[];
}

/** What a training left: its metrics by TRL's names over its steps. */
export interface ReportTraining {
  /** Name of the stage; empty for a training outside a run. */
  stage: string;
  metrics: Record<string, number>[];
  /** `finished`, `stopped-early`, `interrupted`; null while it runs, or where nothing says so. */
  outcome: string | null;
  /** What the metrics begin at where nothing is learnt yet, by name: ln 2 of the sigmoid loss. */
  untrained: Record<string, number>;
  /** Samples that were drawn while training, a few groups of all. */
  samples: { step: number; heldOut: boolean; group: EvaluationAnswers }[];
  samplesInAll: number;
}

export interface ReportPersona {
  user: string;
  persona: string;
  conversations: number;
  messagesShown: number;
  messagesLeftOut: number;
  model: string;
  pairs: number;
}

export interface ReportConversation {
  user?: string;
  time?: string;
  model?: string;
  turns: Message[];
}

export interface ReportPair {
  id: string;
  user?: string;
  source?: string;
  persona?: string;
  scores?: { chosen: number; rejected: number };
  prompt: Message[];
  chosen: string;
  rejected: string;
  /** What the user said to the first answer. */
  followUp?: {
    text: string;
    type?: string;
    reply?: string;
    logprobs?: Record<string, number>;
    problem?: string;
  };
  /** Id of the conversation; index among its turns of the message that the pair is of, and what that is. */
  conversation?: string;
  turn?: number;
  turnIs?: 'follow-up' | 'request';
  /** How the better answer was made. */
  made?: { model: string; request: Message[] };
  /** What other stages keep of it, as they keep it. */
  records: { stage: string; fields: Record<string, unknown> }[];
}

/** A drawing for both colour schemes, each SVG text. */
export interface ReportPlot {
  /** Name of its files: `loss`, `evaluation-user-eval-1`. */
  name: string;
  /** Index of the run that it is of; null for one of all runs. */
  run: number | null;
  section: 'curves' | 'more-curves' | 'pairs' | 'evaluation';
  /** Of an evaluation's table: the evaluation's name and the table's index. */
  table?: { evaluation: string; index: number };
  title: string;
  /** What it shows, in words: for whoever can't see it. */
  description: string;
  width: number;
  height: number;
  light: string;
  dark: string;
}
