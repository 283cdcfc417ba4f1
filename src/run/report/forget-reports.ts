/** What is made out of a run for people to look at holds words of its users, too. */

import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
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
