/** The benchmarks one after the other, each one's JSON in a file: what to run on a machine that is new to us. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';

interface Flags {
  device: string;
  output: string;
  model?: string;
  python?: string;
  peer: boolean;
  quick: boolean;
}

const flags = new Command('all')
  .description(
    "Runs the benchmarks of training steps, generation, rewards, classification and ingesting, and with --model that of loading; writes each one's JSON.",
  )
  .addOption(new Option('--device <device>').choices(['cpu', 'cuda']).default('cpu'))
  .option('--output <folder>', 'where the JSON goes', 'runs/bench')
  .option('--model <model>', 'folder, GGUF file or Hub id to load')
  .option('--python <path>', 'Python with the packages of bench/peers')
  .option('--no-peer', 'leave the Python peers out')
  .option('--quick', 'whether everything runs, not how fast it is', false)
  .parse()
  .opts<Flags>();

const compared = [
  ...['--device', flags.device],
  ...(flags.python === undefined ? [] : ['--python', flags.python]),
  ...(flags.peer ? [] : ['--no-peer']),
  ...(flags.quick ? ['--quick'] : []),
];
mkdirSync(flags.output, { recursive: true });
await run('train-step', [...compared, '--profile']);
await run('generate', compared);
await run('score', compared);
if (flags.model !== undefined) await run('load', ['--model', flags.model, '--device', flags.device]);
await run('ingest', flags.quick ? ['--quick'] : []);
await run('classify', ['--device', flags.device, ...(flags.quick ? ['--limit', '12'] : [])]);

/** Ends this program, too, when the benchmark fails. */
async function run(name: string, args: readonly string[]): Promise<void> {
  const path = join(flags.output, `${name}-${flags.device}.json`);
  const script = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  process.stderr.write(`${name} -> ${path}\n`);
  const child = spawn(process.execPath, ['--import', 'tsx', script, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout.pipe(createWriteStream(path));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) process.exit(code ?? 1);
}
