import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openEngine } from '../../data/conversations/engine.js';
import { type IngestResult, ingestConversations } from '../../data/conversations/ingest.js';
import { findInputFiles } from '../../data/conversations/input-files.js';
import type { Counts } from '../../data/tally.js';
import type { SectionOptions } from '../config/sections.js';
import { fileOutput } from '../output-file.js';
import { byReason, countsWithout, type Removed, removeRows } from '../remove-rows.js';
import { DROPPED_FILE } from '../run-folder.js';
import type { RunStage, StageInput, StageResult, StageWork } from '../stage.js';
import { quietStage } from './asking-stage.js';
import { conversationFacts } from './conversation-facts.js';
import { removeUsers, usersIn } from './filter-conversations.js';
import { type StageSetup, stageFiles } from './setup.js';

/** The evaluation pool, for the evaluations of section 3.4. */
export const EVALUATION_FILE = 'evaluation.parquet';
/** Rows that could not be used. */
export const QUARANTINE_FILE = 'quarantine.jsonl';

/** Reads, filters and splits the logs (appendix C.1). */
export function conversationsStage(setup: StageSetup, options: SectionOptions<'conversations'>): RunStage {
  const { input, memoryLimit, threads, temporaryFolder, ...decisive } = options;
  const { limit } = setup;
  return quietStage({
    name: 'conversations',
    version: 1,
    options: { ...decisive, ...(limit === null ? {} : { limit }) },
    templates: {},
    inputs: [logs(input)],
    async run(work) {
      const result = await ingestConversations({ ...options, output: work.folder }, work);
      const isForgotten = (user: string) => setup.forgotten.has(user);
      let counts = funnelOf(result);
      if (setup.forgotten.size > 0) {
        counts = countsWithout(counts, await removeFromConversations(work.folder, isForgotten));
      }
      if (limit !== null) counts = await keepFirst(work.folder, limit, counts);
      return await finish(work, counts);
    },
  });
}

async function finish(
  work: StageWork,
  counts: Counts,
): Promise<Pick<StageResult, 'outputs' | 'counts' | 'facts'>> {
  const path = join(work.folder, stageFiles.conversations);
  const outputs = {
    [stageFiles.conversations]: await fileOutput(path, counts.out),
    [EVALUATION_FILE]: await fileOutput(join(work.folder, EVALUATION_FILE), null),
  };
  return { outputs, counts: [counts], facts: await conversationFacts(path) };
}

function logs(input: readonly string[]): StageInput {
  return {
    name: 'logs',
    from: null,
    async files() {
      const engine = await openEngine({ memoryLimit: '128MB', threads: 1 });
      try {
        return (await findInputFiles(engine, input)).map(({ path }) => path);
      } finally {
        await engine.close();
      }
    },
  };
}

/** The books of all steps as one: from the rows of the logs to the conversations that are left. */
function funnelOf({ funnel }: IngestResult): Counts {
  const dropped: Record<string, number> = {};
  const noted: Record<string, number> = {};
  for (const { counts } of funnel) {
    for (const [reason, count] of Object.entries(counts.dropped)) {
      dropped[reason] = (dropped[reason] ?? 0) + count;
    }
    Object.assign(noted, counts.noted);
  }
  const [first, last] = [funnel[0]?.counts, funnel.at(-1)?.counts];
  return { unit: 'conversations', in: first?.in ?? 0, out: last?.out ?? 0, dropped, noted };
}

/**
 * Takes users out of everything that the stage wrote. Rows that could not be used tell no user, and hold no text; they
 * stay.
 */
export async function removeFromConversations(
  folder: string,
  isMeant: (user: string) => boolean,
): Promise<Removed> {
  const path = join(folder, stageFiles.conversations);
  const dropped = await removeRows(join(folder, DROPPED_FILE), ({ user }) => {
    return typeof user === 'string' && isMeant(user);
  });
  const users = (await usersIn(path)).filter(({ user }) => isMeant(user));
  const evaluation = join(folder, EVALUATION_FILE);
  if (users.length > 0) {
    const names = users.map(({ user }) => user);
    await removeUsers(path, names);
    if (existsSync(evaluation)) await removeUsers(evaluation, names);
  }
  const out = users.reduce((sum, { conversations }) => sum + conversations, 0);
  return { out, dropped: byReason(dropped) };
}

/** Keeps the first training users who have `limit` conversations together; the others are left out under that name. */
async function keepFirst(folder: string, limit: number, counts: Counts): Promise<Counts> {
  const path = join(folder, stageFiles.conversations);
  let kept = 0;
  const beyond = (await usersIn(path)).filter(({ training }) => {
    if (training > 0 && kept >= limit) return true;
    kept += training;
    return false;
  });
  if (beyond.length === 0) return counts;
  await removeUsers(
    path,
    beyond.map(({ user }) => user),
  );
  const gone = beyond.reduce((sum, { conversations }) => sum + conversations, 0);
  return { ...counts, out: counts.out - gone, dropped: { ...counts.dropped, 'beyond-limit': gone } };
}
