/**
 * How long logs take to become conversations, against the engine's own scan of the same columns, and how much memory:
 * rows of WildChat's shape, generated, at several sizes.
 */

import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { machineReport } from '../src/runtime/device-report.js';
import { runChild } from './support/child.js';
import { count, counts } from './support/counts.js';
import type { IngestReport, IngestRequest } from './support/ingest-child.js';
import { median, rounded } from './support/statistics.js';

interface Options {
  rows: number[];
  rounds: number;
  threads: number;
  memoryLimit: string;
  folder?: string;
  quick: boolean;
}

interface Round {
  scan: IngestReport;
  ingest: IngestReport;
}

const options = parseOptions();
const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'persona-dpo-bench-'));
mkdirSync(folder, { recursive: true });
try {
  const sizes = [];
  for (const rows of options.rows) sizes.push(await measure(rows));
  const [smallest] = sizes;
  const results = sizes.map((size) => ({
    ...size,
    // What a row costs, over what it costs at the smallest size: 1 where time grows as the number of rows.
    growth: rounded(size.seconds / size.rows / ((smallest?.seconds ?? 1) / (smallest?.rows ?? 1)), 3),
  }));
  for (const { rows, seconds, ratio, peakRssBytes } of results) {
    console.error(
      `${rows} rows: ${seconds} s, ${ratio} times the scan, ${(peakRssBytes / 2 ** 20).toFixed(0)} MiB`,
    );
  }
  console.log(JSON.stringify({ bench: 'ingest', machine: machineReport(), options, results }, null, 2));
} finally {
  if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
}

async function measure(rows: number) {
  const path = join(folder, `wildchat-${rows}.parquet`);
  if (!existsSync(path)) {
    console.error(`generating ${rows} rows`);
    await run('generate', rows, path);
  }
  // The file is in the system's cache after that.
  await run('scan', rows, path);
  const rounds: Round[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const scan = await run('scan', rows, path);
    const ingest = await run('ingest', rows, path);
    console.error(
      `round ${round + 1} of ${options.rounds}, ${rows} rows: scan ${scan.seconds.toFixed(2)} s, ingest ${ingest.seconds.toFixed(2)} s`,
    );
    rounds.push({ scan, ingest });
  }
  return summary(rows, rounds);
}

function summary(rows: number, rounds: readonly Round[]) {
  const of = (value: (round: Round) => number) => rounded(median(rounds.map(value)));
  const [first] = rounds;
  const stages = Object.keys(first?.ingest.stages ?? {});
  return {
    rows,
    fileBytes: first?.ingest.fileBytes,
    outputBytes: first?.ingest.outputBytes,
    seconds: of(({ ingest }) => ingest.seconds),
    scanSeconds: of(({ scan }) => scan.seconds),
    ratio: of(({ scan, ingest }) => ingest.seconds / scan.seconds),
    cpuRatio: of(({ scan, ingest }) => ingest.cpuSeconds / scan.cpuSeconds),
    peakRssBytes: Math.max(...rounds.map(({ ingest }) => ingest.peakRssBytes)),
    scanPeakRssBytes: Math.max(...rounds.map(({ scan }) => scan.peakRssBytes)),
    stages: Object.fromEntries(stages.map((name) => [name, of(({ ingest }) => ingest.stages?.[name] ?? 0)])),
    funnel: first?.ingest.funnel,
  };
}

function run(work: IngestRequest['work'], rows: number, path: string): Promise<IngestReport> {
  const { memoryLimit, threads } = options;
  const request: IngestRequest = { work, rows, path, memoryLimit, threads, output: join(folder, 'out') };
  return runChild<IngestReport>('./ingest-child.ts', request);
}

function parseOptions(): Options {
  const given = new Command('ingest')
    .description(
      "Seconds and peak memory of ingesting generated logs of WildChat's shape, against the engine's own scan of the same columns. JSON on stdout.",
    )
    .option('--rows <list>', 'numbers of rows, comma-separated', counts, [10_000, 100_000, 1_000_000])
    .option('--rounds <n>', 'times that everything is run, in turn', count, 3)
    .option('--threads <n>', 'threads of the engine, on both sides', count, availableParallelism())
    .option('--memory-limit <bytes>', "of the engine's data, on both sides", '1GB')
    .option('--folder <folder>', 'where the logs are generated, or found again; they stay there')
    .option('--quick', 'two thousand rows, once: whether everything runs', false)
    .parse()
    .opts<Options>();
  return given.quick ? { ...given, rows: [2000], rounds: 1 } : given;
}
