/** How many tokens a second come out of sampling one prompt, against transformers' generate() in the same run. */

import { availableParallelism } from 'node:os';
import { Command, Option } from 'commander';
import { machineReport } from '../src/runtime/device-report.js';
import { runChild, runProgram } from './support/child.js';
import { count, counts } from './support/counts.js';
import type { GenerateReport, GenerateRequest } from './support/generate-child.js';
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
  peer: boolean;
  python?: string;
  quick: boolean;
}

type PeerReport = Omit<GenerateReport, 'firstTokenSeconds'>;

const options = parseOptions();
const ours = new Map<number, GenerateReport[]>(options.samples.map((samples) => [samples, []]));
const peers = new Map<number, PeerReport[]>(options.samples.map((samples) => [samples, []]));

for (let round = 0; round < options.rounds; round++) {
  const say = (who: string, samples: number, { seconds }: PeerReport) =>
    console.error(
      `round ${round + 1} of ${options.rounds}: ${who}, ${samples} samples: ${tokensPerSecond(samples, seconds).toFixed(0)} tokens a second`,
    );
  for (const samples of options.samples) {
    const own = await runOurs(samples);
    ours.get(samples)?.push(own);
    say('persona-dpo', samples, own);
    if (!options.peer) continue;
    const peer = await runPeer(samples);
    peers.get(samples)?.push(peer);
    say('transformers', samples, peer);
  }
}

const result = {
  bench: 'generate',
  machine: machineReport(),
  options,
  samples: options.samples.map(summary),
};
for (const each of result.samples) {
  const against =
    each.timesFaster === undefined
      ? ''
      : `, ${each.timesFaster} times transformers with ${each.memoryRatio} of its memory`;
  console.error(`${each.samples} samples: ${each.tokensPerSecond} tokens a second${against}`);
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
    firstTokenSeconds: rounded(median(own.flatMap(({ firstTokenSeconds }) => firstTokenSeconds))),
    ...(against.length > 0 && { peer: measured(samples, against) }),
    ...comparison(own, against),
  };
}

function measured(samples: number, reports: readonly PeerReport[]) {
  const seconds = reports.flatMap((report) => report.seconds);
  const deviceBytes = reports.flatMap((report) => report.deviceBytes ?? []);
  return {
    tokensPerSecond: rounded(tokensPerSecond(samples, seconds)),
    seconds: seconds.map((each) => rounded(each)),
    peakRssBytes: Math.max(...reports.map(({ peakRssBytes }) => peakRssBytes)),
    ...(deviceBytes.length > 0 && { deviceBytes: Math.max(...deviceBytes) }),
  };
}

/** Ratios of the same round, so that a machine that slows down slows both. */
function comparison(own: readonly GenerateReport[], against: readonly PeerReport[]) {
  if (against.length === 0) return {};
  const ratios = own.map(({ seconds }, i) => median(against[i]?.seconds ?? []) / median(seconds));
  const peak = (reports: readonly PeerReport[]) => Math.max(...reports.map((each) => each.peakRssBytes));
  return {
    timesFaster: rounded(median(ratios), 3),
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
