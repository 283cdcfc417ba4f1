/**
 * How long a report takes to open, against three seconds and against one of a hundredth of the pairs:
 * `node --import tsx bench/report.ts [--pairs 10000] [--words 180] [--repeat 3]`. Texts are drawn word by word, so that
 * they do not pack better than what people write. Medians of `--repeat` runs in a browser without a window, a new page
 * each. Prints JSON, for both reports:
 *
 * - `bytes` of the page, `writeMs` that it took to write (drawings included);
 * - `openMs` from the address to the list of pairs being there; `share`, that over `limitMs`; `ratio`, over that of
 *   the small report;
 * - `pairMs` from a click on a pair to its answers being there; `searchMs`, looking for a word that no pair has, in all
 *   texts, the first time.
 */

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command } from 'commander';
import type { Browser } from 'playwright-core';
import { createRandom } from '../src/data/random.js';
import { writeReport } from '../src/report/write-report.js';
import { reportData, reportRun } from '../tests/report/fixtures.js';
import { startBrowser } from '../tests/support/browser.js';
import { count } from './support/counts.js';
import { median, rounded } from './support/statistics.js';

const LIMIT_MS = 3000;
const SYLLABLES = 'ka re mo ti lu sen dor vi pan cho es ran tal ne gu ish om del fri quo ber ast in ul'.split(
  ' ',
);
const VOCABULARY = 20_000;

const flags = new Command('report')
  .description('Time that a report takes to open in a browser, by its number of pairs. JSON on stdout.')
  .option('--pairs <n>', 'pairs of the large report', count, 10_000)
  .option('--words <n>', 'words of an answer', count, 180)
  .option('--repeat <n>', 'measurements, of which the median counts', count, 3)
  .parse()
  .opts<{ pairs: number; words: number; repeat: number }>();

const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-report-bench-'));
const browser = await startBrowser();
if (browser === undefined) process.exit(1);
try {
  const small = await measure(browser, Math.max(1, Math.round(flags.pairs / 100)));
  const large = await measure(browser, flags.pairs);
  const result = {
    browser: `Chromium ${browser.version()}`,
    limitMs: LIMIT_MS,
    small,
    large,
    share: rounded(large.openMs / LIMIT_MS),
    ratio: rounded(large.openMs / small.openMs),
  };
  console.log(JSON.stringify(result, null, 2));
} finally {
  await browser.close();
  rmSync(folder, { recursive: true });
}

async function measure(chromium: Browser, pairs: number) {
  const random = createRandom(7);
  const vocabulary = Array.from({ length: VOCABULARY }, () =>
    Array.from({ length: 1 + random.int(4) }, () => SYLLABLES[random.int(SYLLABLES.length)]).join(''),
  );
  // Frequent words come more often, as they do.
  const word = () => vocabulary[Math.floor(VOCABULARY * random.float() ** 3)] as string;
  const words = (number: number) => Array.from({ length: number }, word).join(' ');
  const text = (what: string) => {
    if (what.length > 150) return words(flags.words);
    return what.includes(' ') ? words(12) : what;
  };
  const file = join(folder, `${pairs}.html`);
  const data = reportData([reportRun('bench', { pairs, text })]);
  const started = performance.now();
  await writeReport(data, file);
  const writeMs = performance.now() - started;
  const runs: Awaited<ReturnType<typeof openOnce>>[] = [];
  for (let i = 0; i < flags.repeat; i++) runs.push(await openOnce(chromium, pathToFileURL(file).href));
  const of = (name: 'openMs' | 'pairMs' | 'searchMs') => Math.round(median(runs.map((run) => run[name])));
  return {
    pairs,
    bytes: statSync(file).size,
    writeMs: Math.round(writeMs),
    openMs: of('openMs'),
    pairMs: of('pairMs'),
    searchMs: of('searchMs'),
  };
}

async function openOnce(chromium: Browser, url: string) {
  const page = await chromium.newPage();
  try {
    const timed = async (action: () => Promise<unknown>) => {
      const started = performance.now();
      await action();
      return performance.now() - started;
    };
    const openMs = await timed(async () => {
      await page.goto(url);
      await page.locator('.pairs > li').first().waitFor();
    });
    const pairMs = await timed(async () => {
      await page.locator('details.pair > summary').nth(3).click();
      await page.locator('details.pair[open] .answer.chosen').waitFor();
    });
    const searchMs = await timed(async () => {
      await page.locator('#pairs input[type=search]').first().fill('no such word');
      await page.getByText('No pair is like that.').waitFor();
    });
    return { openMs, pairMs, searchMs };
  } finally {
    await page.close();
  }
}
