/**
 * How long it takes to load a model, and how much memory at most, against reading its files and against the size of
 * its weights: `node --import tsx bench/load.ts --model M [--dtype bfloat16,float32] [--device cpu|cuda] [--repeat 3]`.
 * Each measurement is a process of its own; the median of `--repeat` runs, on files that are in the system's cache.
 * Prints JSON:
 *
 * - `loadMs` from the call to the model being there (tokenizer included, start of TensorFlow not);
 * - `readMs`, reading the same files without looking at them, in the same process, and `ratio`, `loadMs / readMs`;
 * - `weightsPeakBytes`, what a process took at most over what it took before loading the weights alone; `limitBytes`,
 *   weights in memory plus the largest tensor in the file's numbers; `share`, the one over the other;
 * - `peakBytes`, the same for all of `loadModel`: the tokenizer's vocabulary is in JavaScript's memory.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { hubOptionsFromEnvironment } from '../src/models/hub-options.js';
import { loadModel } from '../src/models/load-model.js';
import { loadWeights } from '../src/models/load-weights.js';
import { loadModelFiles } from '../src/models/model-files.js';
import { weightFilesOf } from '../src/models/model-fingerprint.js';
import { resolveModel } from '../src/models/model-location.js';
import { useTensorflowBackend } from '../src/runtime/tfjs/backend.js';

type DType = 'bfloat16' | 'float32';

interface ModelMeasurement {
  device: string;
  loadMs: number;
  readMs: number;
  peakBytes: number;
  weightBytes: number;
  fileBytes: number;
}

interface WeightsMeasurement {
  weightsPeakBytes: number;
  largestTensorBytes: number;
}

const flags = new Command('load')
  .description(
    'Time and peak memory of loading a model, against reading its files and the size of its weights. JSON on stdout.',
  )
  .requiredOption('--model <model>', 'a folder, a GGUF file or an id on the Hub')
  .option('--dtype <names>', 'what to load into, comma-separated', 'bfloat16,float32')
  .addOption(new Option('--device <device>').choices(['auto', 'cpu', 'cuda']).default('auto'))
  .option('--repeat <n>', 'measurements, of which the median counts', '3')
  // What a process of its own is to measure.
  .addOption(new Option('--child <part>').choices(['model', 'weights']).hideHelp())
  .parse()
  .opts<{ model: string; dtype: string; device: string; repeat: string; child?: string }>();
const model = flags.model;
const device = flags.device as 'auto' | 'cpu' | 'cuda';
const hub = hubOptionsFromEnvironment(process.env);

if (flags.child === 'model') console.log(JSON.stringify(await measureModel(flags.dtype as DType)));
else if (flags.child === 'weights') console.log(JSON.stringify(await measureWeights(flags.dtype as DType)));
else {
  const results = flags.dtype.split(',').map((dtype) => summary(dtype as DType, Number(flags.repeat)));
  console.log(
    JSON.stringify({ bench: 'load', model, cpu: cpus()[0]?.model, node: process.version, results }, null, 2),
  );
}

function summary(dtype: DType, repeat: number) {
  const runs = Array.from({ length: repeat }, () => inProcess<ModelMeasurement>('model', dtype));
  const alone = Array.from({ length: repeat }, () => inProcess<WeightsMeasurement>('weights', dtype));
  const { weightBytes, fileBytes, device: where } = runs[0]!;
  const loadMs = median(runs.map((run) => run.loadMs));
  const readMs = median(runs.map((run) => run.readMs));
  const weightsPeakBytes = Math.max(...alone.map((run) => run.weightsPeakBytes));
  const limitBytes = weightBytes + alone[0]!.largestTensorBytes;
  return {
    dtype,
    device: where,
    loadMs,
    readMs,
    ratio: loadMs / readMs,
    fileBytes,
    weightBytes,
    weightsPeakBytes,
    limitBytes,
    share: weightsPeakBytes / limitBytes,
    peakBytes: Math.max(...runs.map((run) => run.peakBytes)),
  };
}

function inProcess<Measurement>(child: 'model' | 'weights', dtype: DType): Measurement {
  const own = fileURLToPath(import.meta.url);
  const loader = import.meta.resolve('tsx');
  const rest = ['--child', child, '--model', model, '--dtype', dtype, '--device', device];
  const output = execFileSync(process.execPath, ['--import', loader, own, ...rest], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(output.trim().split('\n').at(-1)!) as Measurement;
}

async function measureModel(dtype: DType): Promise<ModelMeasurement> {
  await useTensorflowBackend({ device });
  const { path } = await resolveModel(model, { hub });
  const files = weightFilesOf(path);
  readAll(files.map((file) => file.path));
  const readStart = performance.now();
  readAll(files.map((file) => file.path));
  const readMs = performance.now() - readStart;
  const before = process.memoryUsage.rss();
  const start = performance.now();
  const loaded = await loadModel(model, { dtype, device, hub });
  const loadMs = performance.now() - start;
  const weights = loaded.model.entries().map(([, tensor]) => tensor.byteLength);
  return {
    device: loaded.model.parameter('embedding').device,
    loadMs,
    readMs,
    peakBytes: highestRss() - before,
    weightBytes: weights.reduce((sum, bytes) => sum + bytes, 0),
    fileBytes: files.reduce((sum, { size }) => sum + size, 0),
  };
}

async function measureWeights(dtype: DType): Promise<WeightsMeasurement> {
  await useTensorflowBackend({ device });
  const { path } = await resolveModel(model, { hub });
  const { config, weights } = loadModelFiles(path);
  const before = process.memoryUsage.rss();
  loadWeights(weights, config, { dtype });
  weights.close();
  return {
    weightsPeakBytes: highestRss() - before,
    // Quantized tensors are read as float32.
    largestTensorBytes: Math.max(...[...weights.tensors.values()].map(({ byteLength }) => byteLength)),
  };
}

function highestRss(): number {
  return process.resourceUsage().maxRSS * 1024;
}

function readAll(paths: readonly string[]): void {
  const buffer = Buffer.alloc(4 * 2 ** 20);
  for (const path of paths) {
    const descriptor = openSync(path, 'r');
    while (readSync(descriptor, buffer) > 0);
    closeSync(descriptor);
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
