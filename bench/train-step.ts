/**
 * How long one optimizer step of DPO takes, and how much memory, against TRL's DPOTrainer in the same run and
 * against what this machine's matrix products allow.
 */

import { availableParallelism } from 'node:os';
import { Command, InvalidArgumentError, Option } from 'commander';
import { machineReport } from '../src/runtime/device-report.js';
import { runChild, runProgram } from './support/child.js';
import { count } from './support/counts.js';
import { type PairLengths, type StepFlops, stepFlops, totalFlops } from './support/flops.js';
import type { MatmulReport, MatmulRequest } from './support/matmul-rate-child.js';
import { peerPython, peerScript } from './support/peer-python.js';
import { STEP_PARTS, type StepPart } from './support/profile-step.js';
import { SHAPES, type ShapeName } from './support/random-model.js';
import { median, rounded } from './support/statistics.js';
import type { StepConfiguration, StepReport, StepRequest } from './support/train-step-child.js';

/** The two pairs that the figures in the README are of. */
const PAIRS: readonly PairLengths[] = [
  [375, 123, 182],
  [414, 77, 239],
];
const LORA_RANK = 16;

const base: StepConfiguration = {
  ...{ dtype: 'bfloat16', loraRank: 0, recompute: false, moments: 'float32', xla: false },
};
/** What is measured, and the TRL configuration that it is held against. */
const CONFIGURATIONS = {
  full: { ours: base, peer: 'trl-full' },
  'full-recompute': { ours: { ...base, recompute: true }, peer: 'trl-full' },
  // The peer keeps its own optimizer, whose moments are float32.
  'full-recompute-8bit': { ours: { ...base, recompute: true, moments: '8bit' }, peer: 'trl-full' },
  'full-xla': { ours: { ...base, xla: true }, peer: 'trl-full' },
  'full-float32': { ours: { ...base, dtype: 'float32' }, peer: 'trl-full' },
  lora: { ours: { ...base, loraRank: LORA_RANK }, peer: 'trl-lora' },
  'lora-recompute': { ours: { ...base, loraRank: LORA_RANK, recompute: true }, peer: 'trl-lora' },
} as const satisfies Record<string, { ours: StepConfiguration; peer: PeerName }>;
type ConfigurationName = keyof typeof CONFIGURATIONS;

/**
 * TRL at its best: reference computed beforehand; on a CPU activations recomputed (it needs 24 GB for four pairs else),
 * on a GPU kept.
 */
const PEERS = {
  'trl-full': [],
  'trl-lora': ['--lora-rank', String(LORA_RANK)],
} as const satisfies Record<string, readonly string[]>;
type PeerName = 'trl-full' | 'trl-lora';

/** Which of the two is faster depends on the processor: the peer's first round tries both, the others take that. */
const PEER_DTYPES = { bfloat16: ['--bf16'], float32: [] } as const;
type PeerDtype = keyof typeof PEER_DTYPES;

interface Options {
  shape: ShapeName;
  /** Times that the two pairs are in a step. */
  copies: number;
  configurations: ConfigurationName[];
  device: 'auto' | 'cpu' | 'cuda';
  threads: number;
  rounds: number;
  warmup: number;
  steps: number;
  layers?: number;
  peer: boolean;
  python?: string;
  profile: boolean;
  quick: boolean;
}

interface PeerReport {
  dtype: PeerDtype;
  seconds: number[];
  peakRssBytes: number;
  deviceBytes: number | null;
}

const options = parseOptions();
const config = { ...SHAPES[options.shape], numLayers: options.layers ?? SHAPES[options.shape].numLayers };
const pairs = Array.from({ length: options.copies }, () => PAIRS).flat();
const tokens = pairs.flat().reduce((sum, each) => sum + each, 0);
/** Tokens by width by twice the feed-forward width: the largest product of a step. */
const matmulShape = [tokens, config.hiddenSize, 2 * config.intermediateSize] as const;
const ours = new Map<ConfigurationName, StepReport[]>(options.configurations.map((name) => [name, []]));
const peers = new Map<PeerName, PeerReport[]>();
if (options.peer) for (const name of options.configurations) peers.set(CONFIGURATIONS[name].peer, []);
const rates = { bfloat16: [] as number[], float32: [] as number[] };

for (let round = 0; round < options.rounds; round++) {
  const say = (what: string, seconds: readonly number[]) =>
    console.error(`round ${round + 1} of ${options.rounds}: ${what} ${median(seconds).toFixed(2)} s a step`);
  for (const dtype of ['bfloat16', 'float32'] as const) rates[dtype].push(await matmulRate(dtype));
  for (const [name, reports] of ours) {
    const report = await runOurs(name);
    reports.push(report);
    say(name, report.seconds);
  }
  for (const [name, reports] of peers) {
    const report = await bestPeer(name, reports[0]?.dtype);
    reports.push(report);
    say(`${name} in ${report.dtype}`, report.seconds);
  }
}

// Other programs only ever slow a product down: the machine's own rate is the best of all rounds.
const fastest = { bfloat16: Math.max(...rates.bfloat16), float32: Math.max(...rates.float32) };
const flopsPerSecond = Math.max(fastest.bfloat16, fastest.float32);
const result = {
  bench: 'train-step',
  machine: machineReport(),
  options: { ...options, layers: config.numLayers, pairs, loraRank: LORA_RANK },
  matmul: {
    shape: matmulShape,
    gflopsPerSecond: {
      bfloat16: rounded(fastest.bfloat16 / 1e9),
      float32: rounded(fastest.float32 / 1e9),
    },
  },
  configurations: options.configurations.map(summary),
  peers: [...peers].map(([name, reports]) => ({ name, dtype: reports[0]?.dtype, ...measured(reports) })),
};
for (const each of result.configurations) {
  const against =
    each.timesFaster === undefined
      ? ''
      : `, ${each.timesFaster} times as fast as ${each.peer} with ${each.memoryRatio} of its memory`;
  console.error(
    `${each.name}: ${each.secondsPerStep} s, ${(each.peakRssBytes / 1e9).toFixed(2)} GB, ` +
      `${(100 * each.shareOfMatmulRate).toFixed(0)} % of the matmul rate${against}`,
  );
}
console.log(JSON.stringify(result, null, 2));

function summary(name: ConfigurationName) {
  const { ours: configuration, peer } = CONFIGURATIONS[name];
  const reports = ours.get(name) ?? [];
  const flops = stepFlops(config, pairs, configuration.loraRank);
  const own = measured(reports);
  const gflopsPerSecond = totalFlops(flops) / own.secondsPerStep / 1e9;
  return {
    name,
    configuration,
    ...own,
    cpuSecondsPerStep: rounded(median(reports.flatMap(({ cpuSeconds }) => cpuSeconds))),
    gflopPerStep: rounded(totalFlops(flops) / 1e9),
    gflopsPerSecond: rounded(gflopsPerSecond),
    shareOfMatmulRate: rounded((gflopsPerSecond * 1e9) / flopsPerSecond, 3),
    peer,
    ...comparison(reports, peers.get(peer) ?? []),
    ...(options.profile && { profile: profileOf(reports, flops) }),
  };
}

function measured(reports: readonly Omit<PeerReport, 'dtype'>[]) {
  const [first] = reports;
  return {
    secondsPerStep: rounded(median(reports.flatMap(({ seconds }) => seconds))),
    seconds: reports.map(({ seconds }) => seconds.map((each) => rounded(each))),
    peakRssBytes: Math.max(...reports.map(({ peakRssBytes }) => peakRssBytes)),
    ...(first?.deviceBytes != null && {
      deviceBytes: Math.max(...reports.map(({ deviceBytes }) => deviceBytes ?? 0)),
    }),
  };
}

/** Ratios of the same round, so that a machine that slows down slows both. */
function comparison(reports: readonly StepReport[], against: readonly PeerReport[]) {
  if (against.length === 0) return {};
  const ratios = reports.map((own, i) => median(against[i]?.seconds ?? []) / median(own.seconds));
  const memory = measured(reports).peakRssBytes / measured(against).peakRssBytes;
  return { timesFaster: rounded(median(ratios), 3), memoryRatio: rounded(memory, 3) };
}

/** The parts of a step, from the last round. */
function profileOf(reports: readonly StepReport[], flops: StepFlops) {
  const profile = reports.at(-1)?.profile;
  if (!profile) return undefined;
  const total = STEP_PARTS.reduce((sum, part) => sum + profile[part].seconds, 0);
  const work: Partial<Record<StepPart, number>> = { ...flops };
  return STEP_PARTS.map((part) => {
    const { seconds, cpuSeconds, rssBytes } = profile[part];
    const least = (work[part] ?? 0) / flopsPerSecond;
    return {
      part,
      seconds: rounded(seconds),
      share: rounded(seconds / total, 3),
      cpuSeconds: rounded(cpuSeconds),
      /** What its matrix products take at the machine's own rate. */
      matmulSeconds: rounded(least, 3),
      rssBytes,
    };
  });
}

function runOurs(name: ConfigurationName): Promise<StepReport> {
  const { shape, warmup, steps, device, threads, profile } = options;
  const configuration = CONFIGURATIONS[name].ours;
  const request: StepRequest = {
    configuration,
    shape,
    pairs,
    layers: config.numLayers,
    warmup,
    steps,
    device,
    threads,
    profile,
  };
  return runChild<StepReport>('./train-step-child.ts', request);
}

/** The peer in `dtype`, or in the dtype in which it is faster. */
async function bestPeer(name: PeerName, dtype?: PeerDtype): Promise<PeerReport> {
  if (dtype !== undefined) return runPeer(name, dtype);
  const both = [await runPeer(name, 'bfloat16'), await runPeer(name, 'float32')] as const;
  return both.toSorted((a, b) => median(a.seconds) - median(b.seconds))[0] as PeerReport;
}

async function runPeer(name: PeerName, dtype: PeerDtype): Promise<PeerReport> {
  const { shape, device, threads, warmup, steps, python } = options;
  const report = await runProgram<Omit<PeerReport, 'dtype'>>(peerPython(python), [
    peerScript('trl_dpo.py'),
    ...PEERS[name],
    ...PEER_DTYPES[dtype],
    ...[
      '--lengths',
      JSON.stringify(pairs),
      '--warmup',
      String(device === 'cuda' ? warmup : Math.min(warmup, 1)),
      '--steps',
      String(steps),
    ],
    ...['--shape', shape, '--layers', String(config.numLayers), '--threads', String(threads)],
    ...(device === 'cuda' ? ['--device', 'cuda', '--no-checkpointing'] : ['--device', 'cpu']),
  ]);
  return { dtype, ...report };
}

async function matmulRate(dtype: MatmulRequest['dtype']): Promise<number> {
  const { device, threads } = options;
  const request: MatmulRequest = { device, threads, dtype, shape: matmulShape };
  return (await runChild<MatmulReport>('./matmul-rate-child.ts', request)).flopsPerSecond;
}

function parseOptions(): Options {
  const names = Object.keys(CONFIGURATIONS) as ConfigurationName[];
  const program = new Command('train-step')
    .description(
      'Seconds and peak memory of one optimizer step of DPO on two pairs (1,410 tokens), for a model of a known ' +
        'shape with random weights, against TRL in the same run. JSON on stdout.',
    )
    .option('--configurations <names>', `comma-separated, of ${names.join(', ')}`, parseNames, names)
    .addOption(new Option('--device <device>').choices(['cpu', 'cuda']).default('cpu'))
    .option('--threads <n>', 'CPU threads of both', count, availableParallelism())
    .option('--rounds <n>', 'times that everything is run, in turn', count, 3)
    .option('--warmup <n>', "steps that are not timed (of the peer's, one)", count, 2)
    .option('--steps <n>', 'steps that are timed, in each round', count, 3)
    .addOption(
      new Option('--shape <name>', 'of the model').choices(Object.keys(SHAPES)).default('smollm2-135m'),
    )
    .option('--layers <n>', "layers of the model (default: the shape's)", count)
    .option('--copies <n>', 'times that the two pairs are in a step', count, 1)
    .option('--no-peer', 'leave TRL out')
    .option('--python <path>', 'Python with the packages of bench/peers (default: bench/peers/.venv)')
    .option('--profile', 'where the time of a step goes', false)
    .option('--quick', 'two layers, one step, no peer: whether everything runs', false)
    .parse();
  const given = program.opts<Options>();
  if (given.quick) return { ...given, rounds: 1, warmup: 1, steps: 1, layers: 2, peer: false };
  if (given.peer) peerPython(given.python);
  return given;

  function parseNames(value: string): ConfigurationName[] {
    return value.split(',').map((each) => {
      const name = names.find((known) => known === each.trim());
      if (name === undefined) throw new InvalidArgumentError(`Expected some of ${names.join(', ')}.`);
      return name;
    });
  }
}
