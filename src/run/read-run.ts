/** Looking things up in the folder of a run. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { SplitConversation } from '../data/conversation.js';
import { readConversations } from '../data/conversations/conversation-file.js';
import { type PreferencePair, preferencePairSchema } from '../data/pairs.js';
import type { Dropped } from '../data/tally.js';
import { ConfigError } from '../errors.js';
import { placeOfPrompt, promptId } from '../pairs/candidates/ids.js';
import type {
  CandidatesRow,
  ClassifiedMessage,
  PersonaRow,
  PromptRow,
  RankingRow,
  RewriteRow,
} from '../pairs/rows.js';
import { readRows } from './row-files.js';
import {
  candidatesSchema,
  classifiedSchema,
  personaSchema,
  promptSchema,
  rankingSchema,
  rewriteSchema,
} from './row-schemas.js';
import { DROPPED_FILE, type RunFolder } from './run-folder.js';
import { isTraining, STAGE_NAMES, type StageName } from './stage-names.js';
import { mathConversationSchema } from './stages/math-stage.js';
import { type HandingStage, stageFiles } from './stages/setup.js';

/** A pair with everything that led to it. */
export interface PairOrigin {
  /** `conversation:turn` of the follow-up, or `conversation#turn` of the message that candidates answer. */
  id: string;
  /** The pair; absent where it was dropped on the way. */
  pair?: PreferencePair;
  /** Stages that dropped it, or its conversation or user, and why. */
  dropped: (Dropped & { stage: StageName })[];
  rewrite?: RewriteRow;
  /** The prompt that candidates answer, and how far they are: chosen, sampled, ranked. */
  prompt?: PromptRow | CandidatesRow | RankingRow;
  /** What the user said, as classified: the follow-up, or the message that candidates answer. */
  message?: ClassifiedMessage;
  persona?: PersonaRow;
  conversation?: SplitConversation;
}

/** A line of the list of pairs. */
export interface ListedPair {
  id: string;
  user: string | undefined;
  source: string | undefined;
  request: string;
}

/** The first pairs of a run, in their order, and how many there are. */
export async function listPairs(
  run: RunFolder,
  most: number,
): Promise<{ pairs: ListedPair[]; total: number }> {
  const pairs: ListedPair[] = [];
  let total = 0;
  for await (const { id = '', user, source, prompt } of rowsOf(run, 'pairs', preferencePairSchema)) {
    total++;
    if (pairs.length < most) pairs.push({ id, user, source, request: prompt.at(-1)?.content ?? '' });
  }
  return { pairs, total };
}

/**
 * Everything that led to a pair, or to its being dropped.
 *
 * @param wanted The pair's id, or its beginning where that is one pair's alone
 * @throws ConfigError where nothing has such an id, or several do
 */
export async function inspectPair(run: RunFolder, wanted: string): Promise<PairOrigin> {
  const id = await resolveId(run, wanted);
  const [pair, rewrite] = await Promise.all([
    find(rowsOf(run, 'pairs', preferencePairSchema), (row) => row.id === id),
    find(rowsOf(run, 'rewrite', rewriteSchema), (row) => row.id === id),
  ]);
  const place = rewrite ?? placeOfPrompt(id) ?? placeOf(id);
  const prompt = await findPrompt(run, promptId(place.conversation, place.turn), id);
  const conversation = await findConversation(run, place.conversation);
  const user = rewrite?.user ?? prompt?.user ?? conversation?.user;
  const [message, persona, dropped] = await Promise.all([
    find(rowsOf(run, 'classify', classifiedSchema), (row) => {
      return row.conversation === place.conversation && row.turn === place.turn;
    }),
    find(rowsOf(run, 'personas', personaSchema), (row) => row.user === user),
    droppedOf(run, [id, place.conversation, ...(user === undefined ? [] : [user])]),
  ]);
  const origin: PairOrigin = { id, dropped };
  if (pair !== undefined) origin.pair = pair as PreferencePair;
  if (rewrite !== undefined) origin.rewrite = rewrite;
  if (prompt !== undefined) origin.prompt = prompt;
  if (message !== undefined) origin.message = message;
  if (persona !== undefined) origin.persona = persona;
  if (conversation !== undefined) origin.conversation = conversation;
  return origin;
}

/** What is furthest on its way of a prompt, where the id names one or one of its candidates. */
async function findPrompt(run: RunFolder, prompt: string, id: string): Promise<PairOrigin['prompt']> {
  if (placeOfPrompt(id) === undefined) return undefined;
  const isMeant = (row: PromptRow) => row.id === prompt;
  return (
    (await find(rowsOf(run, 'rank', rankingSchema), isMeant)) ??
    (await find(rowsOf(run, 'candidates', candidatesSchema), isMeant)) ??
    (await find(rowsOf(run, 'prompts', promptSchema), isMeant))
  );
}

/** Rows of a stage's file; none where the stage was not done. */
async function* rowsOf<Row>(
  run: RunFolder,
  stage: HandingStage,
  schema: z.ZodType<Row>,
): AsyncGenerator<Row, void, void> {
  const path = join(run.stage(stage), stageFiles[stage]);
  if (existsSync(path)) yield* readRows(path, schema);
}

async function find<Row>(rows: AsyncIterable<Row>, isMeant: (row: Row) => boolean): Promise<Row | undefined> {
  for await (const row of rows) if (isMeant(row)) return row;
  return undefined;
}

/** Ids that are shown when a beginning is that of several. */
const SHOWN_IDS = 5;

async function resolveId(run: RunFolder, wanted: string): Promise<string> {
  const found = new Set<string>();
  const consider = (id: string) => {
    if (id.startsWith(wanted)) found.add(id);
    return id === wanted;
  };
  for await (const { id } of rowsOf(run, 'rewrite', rewriteSchema)) if (consider(id)) return id;
  for await (const { id } of rowsOf(run, 'prompts', promptSchema)) if (consider(id)) return id;
  for await (const { id } of rowsOf(run, 'rank', rankingSchema)) if (consider(id)) return id;
  for await (const { id } of droppedRows(run)) if (consider(id)) return id;
  const [first, ...others] = found;
  if (first === undefined) {
    throw new ConfigError(
      `${run.path} knows nothing by the id ${wanted}; \`persona-dpo inspect ${run.path}\` lists pairs`,
    );
  }
  if (others.length === 0) return first;
  const shown = [...found].slice(0, SHOWN_IDS).join(', ');
  const rest = found.size > SHOWN_IDS ? ` and ${found.size - SHOWN_IDS} more` : '';
  throw new ConfigError(`${wanted} is the beginning of several ids: ${shown}${rest}`);
}

/** Conversation and turn of an id; the id itself where it names a conversation or user. */
function placeOf(id: string): { conversation: string; turn: number } {
  const [, conversation = id, turn = '-1'] = /^(.*):(\d+)$/s.exec(id) ?? [];
  return { conversation, turn: Number(turn) };
}

async function findConversation(run: RunFolder, id: string): Promise<SplitConversation | undefined> {
  for (const stage of ['reconstruct', 'conversations'] as const) {
    const path = join(run.stage(stage), stageFiles[stage]);
    const found = existsSync(path) ? await find(readConversations(path), (row) => row.id === id) : undefined;
    if (found !== undefined) return found;
  }
  return find(rowsOf(run, 'math', mathConversationSchema), (row) => row.id === id);
}

const droppedSchema = z.looseObject({ id: z.string(), reason: z.string() });

async function* droppedRows(run: RunFolder): AsyncGenerator<Dropped & { stage: StageName }, void, void> {
  for (const stage of STAGE_NAMES) {
    // Training names the rows of its own file.
    if (isTraining(stage)) continue;
    for (const name of [DROPPED_FILE, 'quarantine.jsonl']) {
      const path = join(run.stage(stage), name);
      if (!existsSync(path)) continue;
      for await (const row of readRows(path, droppedSchema)) yield { ...(row as Dropped), stage };
    }
  }
}

async function droppedOf(run: RunFolder, ids: readonly string[]) {
  const dropped: (Dropped & { stage: StageName })[] = [];
  for await (const row of droppedRows(run)) if (ids.includes(row.id)) dropped.push(row);
  return dropped;
}
