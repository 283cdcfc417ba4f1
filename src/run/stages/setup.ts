/** What the stages of one run have in common: its folder, options, models, and where each reads what. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { SplitConversation } from '../../data/conversation.js';
import { readConversations } from '../../data/conversations/conversation-file.js';
import { ConfigError } from '../../errors.js';
import type { HubOptions } from '../../models/hub-options.js';
import type { ResolvedRunConfig } from '../config/run-config.js';
import type { Forgotten } from '../forgotten.js';
import type { RunModels } from '../models.js';
import type { RunRewards } from '../rewards.js';
import type { RunFolder } from '../run-folder.js';
import type { StageInput } from '../stage.js';
import type { StageName } from '../stage-names.js';

/** The file that each stage hands on. */
export const stageFiles = {
  conversations: 'conversations.parquet',
  reconstruct: 'conversations.parquet',
  classify: 'classified.jsonl',
  users: 'users.jsonl',
  personas: 'personas.jsonl',
  math: 'conversations.jsonl',
  rewrite: 'rewrites.jsonl',
  prompts: 'prompts.jsonl',
  candidates: 'candidates.jsonl',
  rank: 'rankings.jsonl',
  pairs: 'pairs.jsonl',
} as const satisfies Partial<Record<StageName, string>>;
export type HandingStage = keyof typeof stageFiles;

/** Inputs of stages that may be given as files of one's own instead. */
export const INPUT_NAMES = [
  'conversations',
  'classified',
  'users',
  'personas',
  'math',
  'rewrites',
  'prompts',
  'candidates',
  'rankings',
] as const;
export type InputName = (typeof INPUT_NAMES)[number];

export interface StageSetup {
  folder: RunFolder;
  config: ResolvedRunConfig;
  models: RunModels;
  rewards: RunRewards;
  forgotten: Forgotten;
  hub: HubOptions;
  /** The value of an environment variable that holds a server's key. */
  secret(variable: string): string | undefined;
  /** Only so many conversations, taken user by user; null for all. */
  limit: number | null;
  /** Whether one stage is done by itself, which then reads what lies in the folder. */
  alone: boolean;
  /** Files that stand in for those of earlier stages. */
  given: Partial<Record<InputName, string>>;
}

/** The file of another stage of the run. */
export function stageInput(
  name: InputName | 'pairs',
  from: HandingStage,
  { folder }: StageSetup,
): StageInput {
  return { name, from, files: async () => [join(folder.stage(from), stageFiles[from])] };
}

/** A file that stands in for one of the run. */
export function fileInput(name: InputName, path: string): StageInput {
  return givenFiles(name, [path]);
}

/** Files from outside the run, as a section names them. */
export function givenFiles(name: string, paths: readonly string[]): StageInput {
  return {
    name,
    from: null,
    async files() {
      const missing = paths.find((path) => !existsSync(path));
      if (missing !== undefined) throw new ConfigError(`${name}: there is no file ${missing}`);
      return [...paths];
    },
  };
}

/** The one file of an input. */
export async function fileOf(input: StageInput): Promise<string> {
  const [file] = await input.files();
  return file as string;
}

/** The conversations that personas and pairs are made of: of training users, without those held out. */
export async function* trainingConversations(
  input: StageInput,
  { forgotten }: StageSetup,
  { users, signal }: { users?: readonly string[] | undefined; signal: AbortSignal },
): AsyncGenerator<SplitConversation, void, void> {
  const path = await fileOf(input);
  const wanted = {
    side: 'train',
    heldOut: false,
    signal,
    ...(users === undefined ? {} : { users }),
  } as const;
  for await (const conversation of readConversations(path, wanted)) {
    if (!forgotten.has(conversation.user)) yield conversation;
  }
}
