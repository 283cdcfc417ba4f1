import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { ConfigError } from '../../errors.js';
import type { ReportData } from '../../report/report-data.js';
import { type WrittenReport, writeReport } from '../../report/write-report.js';
import { packageVersion } from '../package-version.js';
import { gatherRun } from './gather-run.js';

/** Reports in a run's folder: of the run, and of it beside others. */
export const REPORT_FILES = { one: 'report.html', several: 'comparison.html' } as const;

export const reportOptionsSchema = z.strictObject({
  output: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe(
      "The page's file; drawings go into a folder beside it. Default: report.html in the run's folder, of several runs comparison.html in the first's.",
    ),
  pairs: z
    .number()
    .int()
    .min(0)
    .default(10_000)
    .describe(
      'Pairs, and personas, of each run that the page holds at most: the first ones. With 0 it holds figures and settings, and nothing that was said.',
    ),
});

export type RunReportOptions = z.input<typeof reportOptionsSchema>;

export interface ReportHooks {
  /** Told how far it is: what is done, so many of so many. */
  onProgress?: (what: 'runs' | 'drawings', done: number, total: number) => void;
}

/**
 * Writes the report of a run, or of several side by side, as one HTML file that needs no network, with its drawings as
 * SVG and PNG in a folder beside it. Runs that are not done yet are shown as far as they are.
 *
 * The page holds words of users as the run does: whoever it is given to can read them. `forgetUser` takes the reports
 * in a run's folder away.
 *
 * @param folders The runs' folders; also those of `persona-dpo train`
 * @throws ConfigError where there is no run; DataError for a file of a run that can't be read
 */
export async function writeRunReport(
  folders: readonly string[],
  options: RunReportOptions = {},
  { onProgress = () => undefined }: ReportHooks = {},
): Promise<WrittenReport> {
  const { output, pairs } = parseOptions(options);
  const [first] = folders;
  if (first === undefined) throw new ConfigError('expected the folder of at least one run');
  const twice = folders.find((folder, i) =>
    folders.some((other, j) => j < i && resolve(other) === resolve(folder)),
  );
  if (twice !== undefined) throw new ConfigError(`${twice} is given twice`);
  const names = namesOf(folders);
  const runs: ReportData['runs'] = [];
  for (const [i, folder] of folders.entries()) {
    runs.push(await gatherRun(folder, names[i] as string, { mostPairs: pairs }));
    onProgress('runs', i + 1, folders.length);
  }
  const data: ReportData = {
    title: runs.length === 1 ? `Run ${names[0]}` : `${runs.length} runs compared`,
    writtenBy: `persona-dpo ${packageVersion()}`,
    writtenAt: new Date().toISOString(),
    runs,
  };
  const file = output ?? join(first, runs.length === 1 ? REPORT_FILES.one : REPORT_FILES.several);
  return await writeReport(data, file, { onPlot: (done, total) => onProgress('drawings', done, total) });
}

function parseOptions(options: RunReportOptions): z.output<typeof reportOptionsSchema> {
  const parsed = reportOptionsSchema.safeParse(options);
  if (parsed.success) return parsed.data;
  const { path = [], message = '' } = parsed.error.issues[0] ?? {};
  throw new ConfigError(`report: ${path.join('.')}: ${message}`);
}

/** The last names of the folders; the whole paths where those are not told apart by them. */
function namesOf(folders: readonly string[]): string[] {
  const names = folders.map((folder) => basename(resolve(folder)));
  return new Set(names).size === names.length ? names : [...folders];
}
