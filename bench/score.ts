/**
 * How many answers to one context a second get their rewards, against transformers in the same run and against what
 * ONNX Runtime's own matrix products allow.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { moduleSize } from '../src/models/linear-modules.js';
import { LINEAR_MODULES } from '../src/models/lora-shape.js';
import type { ModelConfig } from '../src/models/model-config.js';
import { REWARD_DTYPES, type RewardDType } from '../src/rewards/export/export-options.js';
import { exportRewardModel } from '../src/rewards/export/export-reward-model.js';
import { machineReport } from '../src/runtime/device-report.js';
import { runChild, runProgram } from './support/child.js';
import { count } from './support/counts.js';
import type { OnnxMatmulReport, OnnxMatmulRequest } from './support/onnx-matmul-child.js';
import { peerPython, peerScript } from './support/peer-python.js';
import { SMOLLM2_135M } from './support/random-model.js';
import { writeRandomRewardModel } from './support/random-reward-model.js';
import type { ScoreReport, ScoreRequestOfBench } from './support/score-child.js';
import { median, rounded } from './support/statistics.js';

interface Options {
  samples: number;
  promptTokens: number;
  candidateTokens: number;
  dtypes: RewardDType[];
  device: 'cpu' | 'cuda';
  threads: number;
  batchTokens: number;
  layers: number;
  rounds: number;
  peer: boolean;
  peerDtype: 'auto' | PeerDType;
  python?: string;
  quick: boolean;
}

type PeerReport = ScoreReport;

/** Which of the two is faster depends on the processor: the first round tries both, the others take that. */
const PEER_DTYPES = ['float32', 'bfloat16'] as const;
type PeerDType = (typeof PEER_DTYPES)[number];

const options = parseOptions();
const config: ModelConfig = { ...SMOLLM2_135M, numLayers: options.layers };
const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-score-'));
const model = join(folder, 'model');
const ours = new Map<string, ScoreReport[]>();
const peers = new Map<PeerDType, PeerReport[]>();
const rates: number[] = [];

try {
  writeRandomRewardModel(model, config);
  for (const dtype of options.dtypes) {
    await exportRewardModel({ model, output: join(folder, dtype), dtype, recipe: { maxTokens: 2048 } });
  }
  for (let round = 0; round < options.rounds; round++) await runRound(round);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const result = { bench: 'score', machine: machineReport(), options, ...summary() };
console.error(describe());
console.log(JSON.stringify(result, null, 2));

async function runRound(round: number): Promise<void> {
  const say = (who: string, seconds: number) =>
    console.error(
      `round ${round + 1} of ${options.rounds}: ${who}: ${(options.samples / seconds).toFixed(2)} candidates a second`,
    );
  rates.push(await matmulRate());
  for (const dtype of options.dtypes) {
    const report = await runOurs(dtype, true);
    add(ours, dtype, report);
    say(`persona-dpo, ${dtype}`, median(report.seconds));
  }
  const alone = await runOurs(options.dtypes[0] as RewardDType, false);
  add(ours, 'unshared', alone);
  say(`persona-dpo, ${options.dtypes[0]}, context computed for each candidate`, median(alone.seconds));
  if (!options.peer) return;
  for (const dtype of peerDtypes(round)) {
    const report = await runPeer(dtype);
    add(peers, dtype, report);
    say(`transformers, ${dtype}`, median(report.seconds));
  }
}

function add<Key, Report>(reports: Map<Key, Report[]>, key: Key, report: Report): void {
  reports.set(key, [...(reports.get(key) ?? []), report]);
}

function peerDtypes(round: number): readonly PeerDType[] {
  if (options.peerDtype !== 'auto') return [options.peerDtype];
  return round === 0 ? PEER_DTYPES : [fasterPeer()];
}

/** The one that was faster of those that were tried. */
function fasterPeer(): PeerDType {
  const seconds = (dtype: PeerDType) => median((peers.get(dtype) ?? []).flatMap((report) => report.seconds));
  const tried = PEER_DTYPES.filter((dtype) => peers.has(dtype)).sort((a, b) => seconds(a) - seconds(b));
  return tried[0] as PeerDType;
}

function runOurs(dtype: RewardDType, share: boolean): Promise<ScoreReport> {
  const { samples, promptTokens, candidateTokens, batchTokens, device, threads } = options;
  const request: ScoreRequestOfBench = {
    ...{ samples, promptTokens, candidateTokens, batchTokens, threads, share },
    ...{ folder: join(folder, dtype), vocabSize: config.vocabSize, executionProvider: device, runs: 1 },
  };
  return runChild<ScoreReport>('./score-child.ts', request);
}

function runPeer(dtype: PeerDType): Promise<PeerReport> {
  const { samples, promptTokens, candidateTokens, threads, device } = options;
  const settings = {
    ...{ model, samples, threads, device, dtype },
    ...{ 'prompt-tokens': promptTokens, 'candidate-tokens': candidateTokens },
  };
  return runProgram<PeerReport>(peerPython(options.python), [
    peerScript('hf_reward.py'),
    ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
  ]);
}

async function matmulRate(): Promise<number> {
  const request: OnnxMatmulRequest = {
    // Tokens by width by the feed-forward width: the largest product of a layer.
    shape: [1500, config.hiddenSize, config.intermediateSize],
    executionProvider: options.device,
    threads: options.threads,
  };
  return (await runChild<OnnxMatmulReport>('./onnx-matmul-child.ts', request)).flopsPerSecond;
}

/** Matrix products that cannot be done without when the context is computed once; a multiply-add is two. */
function leastFlops(): number {
  const { samples: n, promptTokens: p, candidateTokens: c } = options;
  const weights = LINEAR_MODULES.map((module) => moduleSize(config, module));
  const dense = 2 * (p + n * c) * weights.reduce((sum, { inputs, outputs }) => sum + inputs * outputs, 0);
  const seen = (p * (p + 1)) / 2 + n * (c * p + (c * (c + 1)) / 2);
  return config.numLayers * (dense + 4 * seen * config.numHeads * config.headDim);
}

function summary() {
  const rate = median(rates);
  const against = peers.size === 0 ? undefined : fasterPeer();
  return {
    onnxMatmulGflops: rounded(rate / 1e9),
    leastGflop: rounded(leastFlops() / 1e9),
    ours: Object.fromEntries(
      [...ours].map(([name, reports]) => {
        const seconds = reports.flatMap((report) => report.seconds);
        const times = reports.map(
          (report, round) => leastFlops() / (rates[round] as number) / median(report.seconds),
        );
        return [
          name,
          {
            candidatesPerSecond: rounded(options.samples / median(seconds)),
            seconds: seconds.map((each) => rounded(each)),
            cpuSeconds: reports.flatMap((report) => report.cpuSeconds).map((each) => rounded(each)),
            peakRssBytes: Math.max(...reports.map(({ peakRssBytes }) => peakRssBytes)),
            // What a run would take at the rate of the float32 product, over what it took.
            ...(name === 'unshared' ? {} : { shareOfMatmulLimit: rounded(median(times), 3) }),
            ...comparison(reports, against),
            ...agreement(reports),
          },
        ];
      }),
    ),
    ...(against === undefined ? {} : { peer: peerSummary(against) }),
  };
}

/** Ratios of the same round, so that a machine that slows down slows both. */
function comparison(reports: readonly ScoreReport[], against: PeerDType | undefined) {
  const measured = against === undefined ? [] : (peers.get(against) ?? []);
  if (measured.length === 0) return {};
  const ratio = (key: 'seconds' | 'cpuSeconds') =>
    rounded(median(reports.map((report, i) => median(measured[i]?.[key] ?? []) / median(report[key]))), 3);
  const peak = (each: readonly ScoreReport[]) => Math.max(...each.map(({ peakRssBytes }) => peakRssBytes));
  return {
    timesFaster: ratio('seconds'),
    timesLessProcessorTime: ratio('cpuSeconds'),
    memoryRatio: rounded(peak(reports) / peak(measured), 3),
  };
}

/** How far rewards are from those of the reference, and how many pairs of candidates both order alike. */
function agreement([report]: readonly ScoreReport[]) {
  const { name, rewards: reference } = referenceRewards();
  const rewards = report?.rewards ?? [];
  let alike = 0;
  let pairs = 0;
  for (let i = 0; i < rewards.length; i++) {
    for (let j = 0; j < i; j++) {
      const [one, other] = [rewards, reference].map((each) =>
        Math.sign((each[i] as number) - (each[j] as number)),
      );
      pairs++;
      if (one === other) alike++;
    }
  }
  const differences = rewards.map((reward, i) => Math.abs(reward - (reference[i] as number)));
  return {
    reference: name,
    largestDifference: rounded(Math.max(...differences), 3),
    pairsOrderedAlike: rounded(alike / pairs),
  };
}

/** transformers' float32 rewards where there are some, else ours. */
function referenceRewards(): { name: string; rewards: readonly number[] } {
  const peer = peers.get('float32')?.[0];
  if (peer !== undefined) return { name: 'transformers, float32', rewards: peer.rewards };
  const own = options.dtypes[0] as string;
  return { name: `persona-dpo, ${own}`, rewards: ours.get(own)?.[0]?.rewards ?? [] };
}

function peerSummary(dtype: PeerDType) {
  const each = (reports: readonly PeerReport[]) => {
    const seconds = reports.flatMap((report) => report.seconds);
    return {
      seconds: seconds.map((one) => rounded(one)),
      cpuSeconds: reports.flatMap((report) => report.cpuSeconds).map((one) => rounded(one)),
      candidatesPerSecond: rounded(options.samples / median(seconds)),
      peakRssBytes: Math.max(...reports.map(({ peakRssBytes }) => peakRssBytes)),
      ...agreement(reports),
    };
  };
  return { taken: dtype, ...Object.fromEntries([...peers].map(([name, reports]) => [name, each(reports)])) };
}

function describe(): string {
  return Object.entries(result.ours)
    .map(([name, { candidatesPerSecond, timesFaster, memoryRatio, shareOfMatmulLimit }]) => {
      const limit = shareOfMatmulLimit === undefined ? '' : `, ${shareOfMatmulLimit} of the matmul limit`;
      const against =
        timesFaster === undefined
          ? ''
          : `, ${timesFaster} times transformers with ${memoryRatio} of its memory`;
      return `${name}: ${candidatesPerSecond} candidates a second${limit}${against}`;
    })
    .join('\n');
}

function parseOptions(): Options {
  const dtypes = (value: string) => value.split(',') as RewardDType[];
  const program = new Command('score')
    .description(
      "Candidates a second of one context, scored by a reward model of SmolLM2-135M's shape with random weights, " +
        'against transformers in the same run (float32 or bfloat16, whichever is faster). JSON on stdout.',
    )
    .option('--samples <n>', 'candidates', count, 64)
    .option('--prompt-tokens <n>', 'length of the context', count, 400)
    .option('--candidate-tokens <n>', 'length of each candidate', count, 150)
    .option('--dtypes <list>', 'what our weights are stored in, comma-separated', dtypes, [...REWARD_DTYPES])
    .addOption(new Option('--device <device>').choices(['cpu', 'cuda']).default('cpu'))
    .option('--threads <n>', 'CPU threads of both', count, availableParallelism())
    .option('--batch-tokens <n>', 'tokens of candidates that go through our model at once', count, 2048)
    .option('--layers <n>', 'layers of the random model', count, SMOLLM2_135M.numLayers)
    .option('--rounds <n>', 'times that everything is run, in turn', count, 3)
    .option('--no-peer', 'leave transformers out')
    .addOption(
      new Option('--peer-dtype <dtype>', 'what transformers computes in; auto: the faster one')
        .choices(['auto', ...PEER_DTYPES])
        .default('auto'),
    )
    .option('--python <path>', 'Python with the packages of bench/peers (default: bench/peers/.venv)')
    .option('--quick', 'two layers, four candidates, no peer: whether everything runs', false)
    .parse();
  const given = program.opts<Options>();
  if (given.quick) return { ...given, samples: 4, layers: 2, rounds: 1, peer: false };
  if (given.peer) peerPython(given.python);
  return given;
}
