/**
 * Makes `bench/peers/.venv`, the Python environment of the comparisons, with the versions in requirements.txt:
 * `npm run bench:peers`. Does nothing where it is there already. The environment variable PYTHON names another
 * interpreter than `python3`; pip takes packages from wherever it is set up to.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const folder = path('.venv');
const requirements = path('requirements.txt');
const interpreter = path(process.platform === 'win32' ? '.venv/Scripts/python.exe' : '.venv/bin/python');
/** Written last: an environment without it was left half made. */
const stamp = path('.venv/requirements.sha256');

const wanted = createHash('sha256').update(readFileSync(requirements)).digest('hex');
if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) {
  console.log(`${folder} is up to date`);
} else {
  const python = process.env.PYTHON ?? 'python3';
  rmSync(folder, { recursive: true, force: true });
  run(python, ['-c', 'import sys; assert sys.version_info >= (3, 10), "Python 3.10 or later is needed"']);
  run(python, ['-m', 'venv', folder]);
  run(interpreter, ['-m', 'pip', 'install', '--disable-pip-version-check', '-r', requirements]);
  writeFileSync(stamp, wanted);
  console.log(`${folder} is ready`);
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (status === 0) return;
  console.error(`${command} ${args.join(' ')} failed${error ? `: ${error.message}` : ''}`);
  process.exit(1);
}
