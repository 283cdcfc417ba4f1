/** What is made out of a run for people to look at holds words of its users, too. */

import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { EVALUATIONS_FOLDER, readEvaluations, writeEvaluation } from '../../eval/results.js';
import { plotsFolderOf } from '../../report/write-report.js';
import type { RunFolder } from '../run-folder.js';
import { REPORT_FILES } from './write-run-report.js';

/**
 * Takes the reports in a run's folder away: they hold everybody's words, and `persona-dpo report` writes them anew.
 *
 * @returns the pages that were there
 */
export function removeReports(run: RunFolder): string[] {
  return Object.values(REPORT_FILES).flatMap((name) => {
    const page = join(run.path, name);
    if (!existsSync(page)) return [];
    rmSync(page);
    rmSync(plotsFolderOf(page), { recursive: true, force: true });
    return [page];
  });
}

/**
 * Takes a user's answers out of the results of evaluations. Figures, which tell of no single user, stay.
 *
 * @returns how many answers each file has lost
 */
export async function forgetInEvaluations(
  run: RunFolder,
  user: string,
): Promise<{ file: string; rows: number }[]> {
  const changed: { file: string; rows: number }[] = [];
  for (const result of readEvaluations(run.path)) {
    const answers = result.answers.filter((each) => each.user !== user);
    const rows = result.answers.length - answers.length;
    if (rows === 0) continue;
    await writeEvaluation(run.path, { ...result, answers });
    changed.push({ file: join(run.path, EVALUATIONS_FOLDER, `${result.name}.json`), rows });
  }
  return changed;
}
