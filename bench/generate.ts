/** How many tokens a second come out of sampling one prompt, against transformers' generate() in the same run. */

import { availableParallelism } from 'node:os';
import { Command, Option } from 'commander';
import { machineReport } from '../src/runtime/device-report.js';
import { runChild, runProgram } from './support/child.js';
import { count, counts } from './support/counts.js';
import { decodeLimits } from './support/decode-limits.js';
import type { GenerateReport, GenerateRequest } from './support/generate-child.js';
import type { MatmulReport, MatmulRequest } from './support/matmul-rate-child.js';
import type { MemoryRateReport, MemoryRateRequest } from './support/memory-rate-child.js';
import type { MixedReport, MixedRequest } from './support/mixed-child.js';
import { peerPython, peerScript } from './support/peer-python.js';
import { SMOLLM2_135M } from './support/random-model.js';
import { median, rounded } from './support/statistics.js';

interface Options {
  samples: number[];
  promptTokens: number;
  newTokens: number;
  temperature: number;
  topP: number;
  dtype: 'bfloat16' | 'float32';
  device: 'cpu' | 'cuda';
  threads: number;
  layers: number;
  rounds: number;
  runs: number;
  model?: string;
  mixed: boolean;
  peer: boolean;
  python?: string;
  quick: boolean;
}

/** A product that is large enough for the machine's best rate. */
const MATMUL_SHAPE = [2048, 1024, 2048] as const;
/** Many prompts at once: how many, samples of each, places in the batch. */
const MIXED = { prompts: 8, samples: 8, maxBatch: 32 };

type PeerReport = Omit<GenerateReport, 'firstTokenSeconds'>;

const options = parseOptions();
const ours = new Map<number, GenerateReport[]>(options.samples.map((samples) => [samples, []]));
const peers = new Map<number, PeerReport[]>(options.samples.map((samples) => [samples, []]));
const mixed: MixedReport[] = [];
const rates = { bytes: [] as number[], flops: [] as number[] };

for (let round = 0; round < options.rounds; round++) {
  const say = (who: string, samples: number, { seconds }: PeerReport) =>
    console.error(
      `round ${round + 1} of ${options.rounds}: ${who}, ${samples} samples: ${tokensPerSecond(samples, seconds).toFixed(0)} tokens a second`,
    );
  rates.bytes.push(await memoryRate());
  for (const dtype of ['bfloat16', 'float32'] as const) rates.flops.push(await matmulRate(dtype));
  for (const samples of options.samples) {
    const own = await runOurs(samples);
    ours.get(samples)?.push(own);
    say('persona-dpo', samples, own);
    if (!options.peer) continue;
    const peer = await runPeer(samples);
    peers.get(samples)?.push(peer);
    say('transformers', samples, peer);
  }
  if (options.mixed) mixed.push(await runMixed());
}

// Other programs only ever slow a machine down: its own rates are the best of all rounds.
const machineRates = {
  bytesPerSecond: Math.max(...rates.bytes),
  flopsPerSecond: Math.max(...rates.flops),
};

const result = {
  bench: 'generate',
  machine: machineReport(),
  options,
  rates: {
    memoryGigabytesPerSecond: rounded(machineRates.bytesPerSecond / 1e9),
    matmulGflopsPerSecond: rounded(machineRates.flopsPerSecond / 1e9),
  },
  samples: options.samples.map(summary),
  ...(mixed.length > 0 && { mixed: mixedSummary() }),
};
for (const each of result.samples) {
  const against =
    each.timesFaster === undefined
      ? ''
      : `, ${each.timesFaster} times transformers with ${each.memoryRatio} of its memory`;
  const percent = (share: number | null) => (share === null ? '-' : `${(100 * share).toFixed(0)} %`);
  console.error(
    `${each.samples} samples: ${each.tokensPerSecond} tokens a second${against}; decoding reaches ` +
      `${percent(each.shareOfMemoryLimit)} of what memory allows, ${percent(each.shareOfMatmulLimit)} of what products allow`,
  );
}
if (result.mixed !== undefined) {
  const { tokensPerSecond: each, timesFaster } = result.mixed;
  console.error(
    `${MIXED.prompts} prompts, ${MIXED.samples} samples each, of different lengths: ${each} tokens a second, ` +
      `${timesFaster} times as fast as without refilling`,
  );
}
console.log(JSON.stringify(result, null, 2));

function tokensPerSecond(samples: number, seconds: readonly number[]): number {
  return (samples * options.newTokens) / median(seconds);
}

function summary(samples: number) {
  const own = ours.get(samples) ?? [];
  const against = peers.get(samples) ?? [];
  return {
    samples,
    ...measured(samples, own),
    ...decoding(samples, own),
    ...(against.length > 0 && { peer: measured(samples, against) }),
    ...comparison(own, against),
  };
}

/** The first token's time, and how far the others come up to the machine's limits (for the random model). */
function decoding(samples: number, own: readonly GenerateReport[]) {
  const { promptTokens, newTokens, layers } = options;
  const firsts = own.flatMap(({ firstTokenSeconds }) => firstTokenSeconds);
  const rest = own.flatMap(({ seconds, firstTokenSeconds }) =>
    seconds.map((each, i) => each - firstTokenSeconds[i]!),
  );
  const known = options.model === undefined && newTokens > 1;
  const decoded = (samples * (newTokens - 1)) / median(rest);
  const config = { ...SMOLLM2_135M, numLayers: layers };
  const context = promptTokens + newTokens / 2;
  const limits = decodeLimits(config, { sequences: samples, context }, machineRates);
  const share = (limit: number) => (known ? rounded(decoded / limit, 3) : null);
  return {
    firstTokenSeconds: rounded(median(firsts)),
    decodedTokensPerSecond: rounded(decoded),
    memoryLimitTokensPerSecond: known ? rounded(limits.memoryTokensPerSecond) : null,
    matmulLimitTokensPerSecond: known ? rounded(limits.matmulTokensPerSecond) : null,
    shareOfMemoryLimit: share(limits.memoryTokensPerSecond),
    shareOfMatmulLimit: share(limits.matmulTokensPerSecond),
  };
}

function mixedSummary() {
  const ratios = mixed.map(({ batchedSeconds, refilledSeconds }) => batchedSeconds / refilledSeconds);
  return {
    ...MIXED,
    tokens: mixed[0]!.tokens,
    tokensPerSecond: rounded(median(mixed.map(({ tokens, refilledSeconds }) => tokens / refilledSeconds))),
    withoutRefilling: rounded(median(mixed.map(({ tokens, batchedSeconds }) => tokens / batchedSeconds))),
    timesFaster: rounded(median(ratios), 3),
  };
}

function measured(samples: number, reports: readonly PeerReport[]) {
  const seconds = reports.flatMap((report) => report.seconds);
  const deviceBytes = reports.flatMap((report) => report.deviceBytes ?? []);
  return {
    tokensPerSecond: rounded(tokensPerSecond(samples, seconds)),
    seconds: seconds.map((each) => rounded(each)),
    cpuSeconds: reports.flatMap((report) => report.cpuSeconds).map((each) => rounded(each)),
    peakRssBytes: Math.max(...reports.map(({ peakRssBytes }) => peakRssBytes)),
    ...(deviceBytes.length > 0 && { deviceBytes: Math.max(...deviceBytes) }),
  };
}

/** Ratios of the same round, so that a machine that slows down slows both. */
function comparison(own: readonly GenerateReport[], against: readonly PeerReport[]) {
  if (against.length === 0) return {};
  const ratios = own.map(({ seconds }, i) => median(against[i]?.seconds ?? []) / median(seconds));
  const cpuRatios = own.map(({ cpuSeconds }, i) => median(against[i]?.cpuSeconds ?? []) / median(cpuSeconds));
  const peak = (reports: readonly PeerReport[]) => Math.max(...reports.map((each) => each.peakRssBytes));
  return {
    timesFaster: rounded(median(ratios), 3),
    cpuRatio: rounded(median(cpuRatios), 3),
    memoryRatio: rounded(peak(own) / peak(against), 3),
  };
}

function runOurs(samples: number): Promise<GenerateReport> {
  const { promptTokens, newTokens, temperature, topP, dtype, layers, runs, device, threads } = options;
  const request: GenerateRequest = {
    ...{ samples, promptTokens, newTokens, temperature, topP, dtype, layers, runs, device, threads },
    model: options.model ?? null,
  };
  return runChild<GenerateReport>('./generate-child.ts', request);
}

function runPeer(samples: number): Promise<PeerReport> {
  const { promptTokens, newTokens, temperature, topP, dtype, layers, runs, device, threads } = options;
  const settings = {
    ...{ samples, temperature, dtype, layers, runs, device, threads },
    ...{ 'prompt-tokens': promptTokens, 'new-tokens': newTokens, 'top-p': topP },
    ...(options.model !== undefined && { model: options.model }),
  };
  return runProgram<PeerReport>(peerPython(options.python), [
    peerScript('hf_generate.py'),
    ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
  ]);
}

function runMixed(): Promise<MixedReport> {
  const { promptTokens, newTokens, temperature, topP, dtype, layers, device, threads } = options;
  const request: MixedRequest = {
    ...{ ...MIXED, promptTokens, newTokens, temperature, topP, dtype, layers, device, threads },
    model: options.model ?? null,
  };
  return runChild<MixedReport>('./mixed-child.ts', request);
}

async function memoryRate(): Promise<number> {
  const { device, threads } = options;
  const request: MemoryRateRequest = { device, threads };
  return (await runChild<MemoryRateReport>('./memory-rate-child.ts', request)).bytesPerSecond;
}

async function matmulRate(dtype: MatmulRequest['dtype']): Promise<number> {
  const { device, threads } = options;
  const request: MatmulRequest = { device, threads, dtype, shape: MATMUL_SHAPE };
  return (await runChild<MatmulReport>('./matmul-rate-child.ts', request)).flopsPerSecond;
}

function parseOptions(): Options {
  const program = new Command('generate')
    .description(
      "Tokens a second of sampling one prompt, for a model of SmolLM2-135M's shape, against transformers' " +
        'generate() in the same run. JSON on stdout.',
    )
    .option('--samples <list>', 'numbers of samples, comma-separated', counts, [1, 16, 64])
    .option('--prompt-tokens <n>', 'length of the prompt', count, 400)
    .option('--new-tokens <n>', 'tokens of each sample', count, 96)
    .option('--temperature <t>', 'of the sampling', Number, 0.6)
    .option('--top-p <p>', 'of the sampling', Number, 0.9)
    .addOption(new Option('--dtype <dtype>').choices(['bfloat16', 'float32']).default('bfloat16'))
    .addOption(new Option('--device <device>').choices(['cpu', 'cuda']).default('cpu'))
    .option('--threads <n>', 'CPU threads of both', count, availableParallelism())
    .option('--layers <n>', 'layers of the random model', count, SMOLLM2_135M.numLayers)
    .option('--rounds <n>', 'times that everything is run, in turn', count, 3)
    .option('--runs <n>', 'generations that are timed, in each round', count, 1)
    .option('--model <folder>', "a Hugging Face folder's weights in place of random ones")
    .option('--no-mixed', 'leave out many prompts with samples of different lengths')
    .option('--no-peer', 'leave transformers out')
    .option('--python <path>', 'Python with the packages of bench/peers (default: bench/peers/.venv)')
    .option('--quick', 'two layers, a few tokens, no peer: whether everything runs', false)
    .parse();
  const given = program.opts<Options>();
  if (given.quick) {
    return { ...given, samples: [1, 3], newTokens: 8, rounds: 1, runs: 1, layers: 2, peer: false };
  }
  if (given.peer) peerPython(given.python);
  return given;
}
