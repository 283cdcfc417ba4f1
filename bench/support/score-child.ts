/** One measurement of bench/score in a process of its own; prints a {@link ScoreReport}. */

import { join } from 'node:path';
import { rewardNetwork } from '../../src/rewards/network.js';
import { openSession } from '../../src/rewards/open-session.js';
import { readRecipe } from '../../src/rewards/recipe.js';
import { ScoringQueue } from '../../src/rewards/scoring-queue.js';
import { childInput } from './child.js';
import { gpuMemoryUsed } from './gpu-memory.js';

export interface ScoreRequestOfBench {
  /** Folder of an exported reward model. */
  folder: string;
  samples: number;
  promptTokens: number;
  candidateTokens: number;
  vocabSize: number;
  batchTokens: number;
  /** Whether the context is computed once; else again for each candidate, as the peer does. */
  share: boolean;
  runs: number;
  executionProvider: 'cpu' | 'cuda';
  threads: number;
}

export interface ScoreReport {
  /** Of each run. */
  seconds: number[];
  /** Processor time of each run: what the machine's other programs don't lengthen. */
  cpuSeconds: number[];
  rewards: number[];
  peakRssBytes: number;
  /** What the GPU's memory in use grew by; null on a CPU. */
  deviceBytes: number | null;
}

const request = childInput<ScoreRequestOfBench>();
const { folder, samples, promptTokens, candidateTokens, vocabSize, executionProvider, threads } = request;
const deviceBytesBefore = gpuMemoryUsed();
const recipe = readRecipe(folder);
const path = join(folder, recipe.model);
const session = await openSession(path, { executionProvider, threads });
const network = rewardNetwork(session, recipe, path);
const { batchTokens, share } = request;
const queue = new ScoringQueue({ ...network, sharesPrefixes: share }, { batchTokens, name: folder });

const token = (i: number) => 3 + ((i * 7919 + 13) % (vocabSize - 3));
const prompt = Array.from({ length: promptTokens }, (_, i) => token(i));
const rows = Array.from({ length: samples }, (_, row) => [
  ...prompt,
  ...Array.from({ length: candidateTokens }, (_, i) => token(promptTokens + row * candidateTokens + i)),
]);
const asked = rows.map((ids) => ({ ids, truncated: false }));

await queue.score(asked.slice(0, 2));
const seconds: number[] = [];
const cpuSeconds: number[] = [];
let rewards: number[] = [];
for (let i = 0; i < request.runs; i++) {
  const begun = performance.now();
  const cpuBegun = process.cpuUsage();
  rewards = await queue.score(asked);
  seconds.push((performance.now() - begun) / 1e3);
  const { user, system } = process.cpuUsage(cpuBegun);
  cpuSeconds.push((user + system) / 1e6);
}
const report: ScoreReport = {
  seconds,
  cpuSeconds,
  rewards,
  peakRssBytes: process.resourceUsage().maxRSS * 1024,
  deviceBytes: executionProvider === 'cuda' ? (gpuMemoryUsed() ?? 0) - (deviceBytesBefore ?? 0) : null,
};
await session.dispose();
console.log(JSON.stringify(report));
