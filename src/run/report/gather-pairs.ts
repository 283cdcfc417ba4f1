/** The pairs of a run with what led to each, for its report. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readConversations } from '../../data/conversations/conversation-file.js';
import { type Message, type PreferencePair, preferencePairSchema } from '../../data/pairs.js';
import type { ClassifiedMessage, RewriteRow } from '../../pairs/rows.js';
import type { ReportConversation, ReportPair, ReportRun } from '../../report/report-data.js';
import { readRows } from '../row-files.js';
import { classifiedSchema, rewriteSchema } from '../row-schemas.js';
import type { RunFolder } from '../run-folder.js';
import { STAGE_NAMES } from '../stage-names.js';
import { mathConversationSchema } from '../stages/math-stage.js';
import { stageFiles } from '../stages/setup.js';
import { shortMessages, shortText, shortValue } from './short-text.js';

export interface GatheredPairs extends Pick<ReportRun, 'pairs' | 'pairsInAll' | 'conversations'> {
  /** Pairs of the whole run by user. */
  byUser: Map<string, number>;
}

/** Rows of a stage that the report shows in a form of its own; of other stages it shows the rows as they are. */
const KNOWN_STAGES: ReadonlySet<string> = new Set([
  'conversations',
  'reconstruct',
  'classify',
  'users',
  'personas',
  'math',
  'rewrite',
  'prompts',
  'pairs',
]);

/** Fields of a row that a pair has itself. */
const KNOWN_FIELDS: ReadonlySet<string> = new Set([
  'id',
  'user',
  'conversation',
  'turn',
  'time',
  'type',
  'prompt',
  'persona',
  'request',
]);

/** The first pairs of a run, up to `most`, with what led to them. */
export async function gatherPairs(run: RunFolder, most: number): Promise<GatheredPairs> {
  const { rows, pairsInAll, byUser } = await firstPairs(run, most);
  const ids = new Set(rows.flatMap(({ id }) => id ?? []));
  const rewrites = await rewritesOf(run, ids);
  const places = new Map(
    [...ids].map((id) => {
      const rewrite = rewrites.get(id);
      const place: Place =
        rewrite === undefined
          ? placeOf(id)
          : { conversation: rewrite.conversation, turn: rewrite.turn, turnIs: 'follow-up' };
      return [id, place] as const;
    }),
  );
  const wanted = new Set([...places.values()].map(({ conversation }) => conversation));
  const users = [...new Set(rows.flatMap(({ user }) => user ?? []))];
  const conversations = await conversationsOf(run, wanted, users);
  const messages = await messagesOf(run, new Set([...places.values()].map(key)));
  const records = await recordsOf(run, ids);
  const pairs = rows.map((row, index) => {
    const { id = `row-${index + 1}` } = row;
    const place = places.get(id);
    return reportPair(row, id, {
      rewrite: rewrites.get(id),
      place,
      conversation: place && conversations[place.conversation],
      message: place && messages.get(key(place)),
      records: records.get(id) ?? [],
    });
  });
  return { pairs, pairsInAll, conversations, byUser };
}

interface Place {
  conversation: string;
  turn: number;
  turnIs: 'follow-up' | 'request';
}

interface Origin {
  rewrite: RewriteRow | undefined;
  place: Place | undefined;
  conversation: ReportConversation | undefined;
  message: ClassifiedMessage | undefined;
  records: ReportPair['records'];
}

function reportPair(row: PreferencePair, id: string, origin: Origin): ReportPair {
  const { user, source, persona, scores, prompt, chosen, rejected } = row;
  const { rewrite, place, conversation, records } = origin;
  const followUp = followUpOf(origin);
  return {
    id,
    ...(user === undefined ? {} : { user }),
    ...(source === undefined ? {} : { source }),
    ...(persona === undefined ? {} : { persona: shortText(persona) }),
    ...(scores === undefined ? {} : { scores }),
    prompt: shortMessages(prompt),
    chosen: shortText(chosen[0]?.content ?? ''),
    rejected: shortText(rejected[0]?.content ?? ''),
    ...(followUp === undefined ? {} : { followUp }),
    ...(place === undefined || conversation === undefined ? {} : place),
    ...(rewrite === undefined
      ? {}
      : { made: { model: rewrite.model, request: shortMessages(rewrite.request) } }),
    records,
  };
}

function followUpOf({ rewrite, place, conversation, message }: Origin): ReportPair['followUp'] {
  if (place?.turnIs === 'request') return undefined;
  const text = rewrite?.followUp ?? conversation?.turns[place?.turn ?? -1]?.content;
  if (text === undefined) return undefined;
  const { type, reply, logprobs, problem } = message ?? {};
  return {
    text: shortText(text),
    ...(type === undefined ? {} : { type }),
    ...(reply === undefined ? {} : { reply: shortText(reply) }),
    ...(logprobs === undefined ? {} : { logprobs }),
    ...(problem === undefined ? {} : { problem }),
  };
}

function key({ conversation, turn }: Pick<Place, 'conversation' | 'turn'>): string {
  return `${conversation}:${turn}`;
}

/** `conversation:turn` is a pair of the follow-up there, `conversation#turn` of candidates for the request there. */
function placeOf(id: string): Place {
  const [, conversation = id, mark = ':', turn = '-1'] = /^(.*)([:#])(\d+)$/s.exec(id) ?? [];
  return { conversation, turn: Number(turn), turnIs: mark === ':' ? 'follow-up' : 'request' };
}

async function firstPairs(run: RunFolder, most: number) {
  const rows: PreferencePair[] = [];
  const byUser = new Map<string, number>();
  let pairsInAll = 0;
  const path = join(run.stage('pairs'), stageFiles.pairs);
  if (existsSync(path)) {
    for await (const row of readRows(path, preferencePairSchema)) {
      pairsInAll++;
      if (row.user !== undefined) byUser.set(row.user, (byUser.get(row.user) ?? 0) + 1);
      if (rows.length < most) rows.push(row as PreferencePair);
    }
  }
  return { rows, pairsInAll, byUser };
}

async function rewritesOf(run: RunFolder, ids: ReadonlySet<string>): Promise<Map<string, RewriteRow>> {
  const found = new Map<string, RewriteRow>();
  const path = join(run.stage('rewrite'), stageFiles.rewrite);
  if (!existsSync(path)) return found;
  for await (const row of readRows(path, rewriteSchema)) if (ids.has(row.id)) found.set(row.id, row);
  return found;
}

async function messagesOf(
  run: RunFolder,
  places: ReadonlySet<string>,
): Promise<Map<string, ClassifiedMessage>> {
  const found = new Map<string, ClassifiedMessage>();
  const path = join(run.stage('classify'), stageFiles.classify);
  if (!existsSync(path)) return found;
  for await (const row of readRows(path, classifiedSchema)) {
    if (places.has(key(row))) found.set(key(row), row);
  }
  return found;
}

async function conversationsOf(
  run: RunFolder,
  ids: ReadonlySet<string>,
  users: readonly string[],
): Promise<Record<string, ReportConversation>> {
  // A map first: ids are other people's, and may be names that objects have already.
  const found = new Map<string, ReportConversation>();
  for (const stage of ['conversations', 'reconstruct'] as const) {
    const path = join(run.stage(stage), stageFiles[stage]);
    if (!existsSync(path) || users.length === 0) continue;
    for await (const { id, user, time, model, turns } of readConversations(path, { users })) {
      if (ids.has(id)) found.set(id, reportConversation({ user, time, model, turns }));
    }
  }
  const math = join(run.stage('math'), stageFiles.math);
  if (existsSync(math)) {
    for await (const { id, turns } of readRows(math, mathConversationSchema)) {
      if (ids.has(id)) found.set(id, reportConversation({ turns }));
    }
  }
  return Object.fromEntries(found);
}

function reportConversation(conversation: {
  user?: string | undefined;
  time?: string | undefined;
  model?: string | undefined;
  turns: readonly Message[];
}): ReportConversation {
  const { user, time, model, turns } = conversation;
  return {
    ...(user === undefined ? {} : { user }),
    ...(time === undefined ? {} : { time }),
    ...(model === undefined ? {} : { model }),
    turns: shortMessages(turns),
  };
}

const recordSchema = z.looseObject({ id: z.string() });

/** What stages that the report knows nothing more of keep of these pairs. */
async function recordsOf(
  run: RunFolder,
  ids: ReadonlySet<string>,
): Promise<Map<string, ReportPair['records']>> {
  const found = new Map<string, ReportPair['records']>();
  for (const stage of STAGE_NAMES) {
    if (KNOWN_STAGES.has(stage)) continue;
    for (const file of Object.keys(run.manifest(stage)?.outputs ?? {})) {
      const path = join(run.stage(stage), file);
      if (!file.endsWith('.jsonl') || !existsSync(path)) continue;
      for await (const row of readRows(path, z.unknown())) {
        const parsed = recordSchema.safeParse(row);
        if (!parsed.success || !ids.has(parsed.data.id)) continue;
        const { id } = parsed.data;
        const own = Object.entries(parsed.data).filter(([field]) => !KNOWN_FIELDS.has(field));
        const fields = shortValue(Object.fromEntries(own)) as Record<string, unknown>;
        // A stage that adds to the rows of another says it all.
        const others = (found.get(id) ?? []).filter((record) =>
          Object.keys(record.fields).some((field) => !Object.hasOwn(fields, field)),
        );
        found.set(id, [...others, { stage, fields }]);
      }
    }
  }
  return found;
}
