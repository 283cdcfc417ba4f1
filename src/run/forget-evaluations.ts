/** Evaluations of a run hold words of its users, too. */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { EVALUATIONS_FOLDER, readEvaluations, writeEvaluation } from '../eval/results.js';
import { openReplyStore } from '../llm/reply-store.js';
import { type Row, removeRows } from './remove-rows.js';
import type { RunFolder } from './run-folder.js';

/** In the folder of evaluations: what models replied while they were evaluated or judged. */
const REPLIES_FILE = 'replies.lmdb';

export interface ForgottenInEvaluations {
  removed: { file: string; rows: number }[];
  /** Kept replies that were removed. */
  replies: number;
}

/**
 * Takes a user's answers, verdicts and votes on them out of the evaluations of a run, and the replies of models to the
 * user's words. Figures, which tell of no single user, stay.
 */
export async function forgetInEvaluations(
  run: RunFolder,
  user: string,
  isMeant: (row: Row) => boolean,
): Promise<ForgottenInEvaluations> {
  const folder = join(run.path, EVALUATIONS_FOLDER);
  if (!existsSync(folder)) return { removed: [], replies: 0 };
  const removed = [...(await inResults(run, user)), ...(await inRows(folder, isMeant))];
  return { removed, replies: await inReplies(join(folder, REPLIES_FILE), user) };
}

async function inResults(run: RunFolder, user: string): Promise<ForgottenInEvaluations['removed']> {
  const changed: ForgottenInEvaluations['removed'] = [];
  for (const result of readEvaluations(run.path)) {
    const answers = result.answers.filter((each) => each.user !== user);
    const rows = result.answers.length - answers.length;
    if (rows === 0) continue;
    await writeEvaluation(run.path, { ...result, answers });
    changed.push({ file: join(run.path, EVALUATIONS_FOLDER, `${result.name}.json`), rows });
  }
  return changed;
}

/** Rows beside the results, each evaluation's in a folder of its own. */
async function inRows(
  folder: string,
  isMeant: (row: Row) => boolean,
): Promise<ForgottenInEvaluations['removed']> {
  const changed: ForgottenInEvaluations['removed'] = [];
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  for (const name of names.filter((each) => each.endsWith('.jsonl')).sort()) {
    const file = join(folder, name);
    const { length: rows } = await removeRows(file, isMeant);
    if (rows > 0) changed.push({ file, rows });
  }
  return changed;
}

async function inReplies(path: string, user: string): Promise<number> {
  if (!existsSync(path)) return 0;
  const store = openReplyStore(path);
  try {
    return await store.forgetOwner(user);
  } finally {
    await store.close();
  }
}
