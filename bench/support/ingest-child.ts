/** One measurement of bench/ingest in a process of its own; prints an {@link IngestReport}. */

import { statSync } from 'node:fs';
import { openEngine } from '../../src/data/conversations/engine.js';
import type { FunnelStep } from '../../src/data/conversations/funnel.js';
import { ingestConversations } from '../../src/data/conversations/ingest.js';
import { childInput } from './child.js';
import { scanQuery, wildchatRows } from './wildchat-rows.js';

export interface IngestRequest {
  work: 'generate' | 'scan' | 'ingest';
  path: string;
  /** Of the file to generate. */
  rows: number;
  output: string;
  memoryLimit: string;
  threads: number;
}

export interface IngestReport {
  seconds: number;
  /** Processor time over all threads. */
  cpuSeconds: number;
  peakRssBytes: number;
  fileBytes: number;
  /** What took how long, of ingesting. */
  stages?: Record<string, number>;
  funnel?: FunnelStep[];
  outputBytes?: number;
}

const request = childInput<IngestRequest>();
const { work, path, memoryLimit, threads } = request;
const begun = performance.now();
const processorBefore = process.cpuUsage();
const details = await measured();
const { user, system } = process.cpuUsage(processorBefore);
const report: IngestReport = {
  seconds: (performance.now() - begun) / 1e3,
  cpuSeconds: (user + system) / 1e6,
  peakRssBytes: process.resourceUsage().maxRSS * 1024,
  fileBytes: statSync(path).size,
  ...details,
};
console.log(JSON.stringify(report));

async function measured(): Promise<Partial<IngestReport>> {
  if (work === 'ingest') return ingest();
  const engine = await openEngine({
    memoryLimit: work === 'scan' ? memoryLimit : '4GB',
    threads,
    keepsOrder: false,
  });
  try {
    const statements = work === 'scan' ? [scanQuery(path)] : wildchatRows(path, request.rows);
    for (const statement of statements) await engine.run(statement);
  } finally {
    await engine.close();
  }
  return {};
}

async function ingest(): Promise<Partial<IngestReport>> {
  const stages: Record<string, number> = {};
  let stage = 'reading';
  let since = performance.now();
  const enter = (next: string) => {
    stages[stage] = (stages[stage] ?? 0) + (performance.now() - since) / 1e3;
    stage = next;
    since = performance.now();
  };
  const { funnel, paths } = await ingestConversations(
    { input: path, output: request.output, memoryLimit, threads },
    { onProgress: ({ text, total }) => void (total > 0 && text !== undefined && enter(text)) },
  );
  enter('');
  return { stages, funnel, outputBytes: statSync(paths.conversations).size };
}
