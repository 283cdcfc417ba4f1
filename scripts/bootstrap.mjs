#!/usr/bin/env node
// Makes a fresh clone ready and then runs a command: `node scripts/bootstrap.mjs COMMAND ...`.
// Needs nothing but Node: packages, build, TensorFlow and the small model come one after the other, each only
// where it is missing or out of date, so that a second start costs nothing.

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const buildStamp = join(root, 'node_modules', '.cache', 'persona-dpo-build');

main(process.argv.slice(2)).catch((error) => fail(error.message));

async function main(command) {
  checkNode();
  if (needsPackages()) installPackages();
  const fingerprint = sourceFingerprint();
  if (needsBuild(fingerprint)) build(fingerprint);
  await installRuntime();
  if (command.length > 0) run(command);
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  fail(
    `Node ${process.versions.node} is too old: persona-dpo needs Node 20.19 or newer (20, 22 and 24 are tested).`,
  );
}

/** Whether a package of the lock file is missing, or there in another version. */
function needsPackages() {
  const installed = readJson(join(root, 'node_modules', '.package-lock.json'));
  if (installed === undefined) return true;
  const locked = Object.entries(readJson(join(root, 'package-lock.json')).packages);
  return locked.some(([path, { version, optional, link }]) => {
    if (path === '' || link) return false;
    const found = installed.packages[path]?.version;
    // An optional package that is not for this platform stays away.
    return found === undefined ? !optional : found !== version;
  });
}

function installPackages() {
  say('Installing packages');
  const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ['npm'];
  // Not `npm ci`: it refuses a lock file that lacks packages of platforms which the registry it was made with does
  // not carry. The locked versions hold here as well, and the lock file stays as it is.
  runQuietly([...npm, 'install', '--no-save', '--no-audit', '--no-fund']);
}

/** Changes when a source file does. */
function sourceFingerprint() {
  const hash = createHash('sha256');
  const files = readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const configuration = ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json'].map((name) =>
    join(root, name),
  );
  for (const file of [...files.sort(), ...configuration]) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${file}\0${size}\0${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

function needsBuild(fingerprint) {
  if (!existsSync(join(root, 'dist', 'index.js')) || !existsSync(buildStamp)) return true;
  return readFileSync(buildStamp, 'utf8') !== fingerprint;
}

function build(fingerprint) {
  say('Building dist/');
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  runQuietly([
    process.execPath,
    join('node_modules', 'typescript', 'bin', 'tsc'),
    '-p',
    'tsconfig.build.json',
  ]);
  mkdirSync(dirname(buildStamp), { recursive: true });
  writeFileSync(buildStamp, fingerprint);
}

async function installRuntime() {
  const load = (name) => import(pathToFileURL(join(root, 'dist', 'runtime', 'install', name)).href);
  const { installHome, locateSmolLm2, locateTensorflow } = await load('location.js');
  const { locateTfjsNodeGpu } = await load('tfjs-node-gpu.js');
  const isReady = locateTensorflow() !== undefined && locateTfjsNodeGpu() !== undefined;
  if (isReady && locateSmolLm2() !== undefined) return;
  const { fetchSmolLm2, setup } = await load('setup.js');
  const onProgress = progressPrinter();
  if (!isReady) {
    say(`Getting TensorFlow into ${installHome()}`);
    await setup({ onProgress });
  }
  if (locateSmolLm2() === undefined) {
    say('Getting SmolLM2-135M-Instruct (93 MB)');
    await fetchSmolLm2({ onProgress });
  }
}

/** On a terminal one line that counts up, elsewhere a line for each phase. */
function progressPrinter() {
  let last = '';
  return ({ phase, label, done, total }) => {
    const percent = total > 0 ? `${Math.floor((100 * done) / total)}%` : '';
    const line = process.stderr.isTTY ? `  ${phase} ${label} ${percent}` : `  ${phase} ${label}`;
    if (line === last) return;
    last = line;
    const isEnd = done === total;
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[2K${line}${isEnd ? '\n' : ''}` : `${line}\n`);
  };
}

/** Runs the command in the place of this process, as far as the terminal can tell. */
function run([command, ...parameters]) {
  const bin = join(root, 'node_modules', '.bin');
  const child = spawn(command === 'node' ? process.execPath : command, parameters, {
    stdio: 'inherit',
    env: { ...process.env, PATH: `${bin}:${process.env.PATH ?? ''}` },
  });
  // The terminal sends Ctrl-C to the command as well, and what to do about it is the command's to say.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('error', (error) => fail(error.message));
  child.on('close', (code, signal) => {
    process.exitCode = signal === null ? code : signal === 'SIGINT' ? 130 : 1;
  });
}

/** Runs a program whose output matters only when it fails. */
function runQuietly([command, ...parameters]) {
  const { status, stdout, stderr, error } = spawnSync(command, parameters, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (status === 0) return;
  fail(`\`${[command, ...parameters].join(' ')}\` failed:\n${error?.message ?? `${stdout}${stderr}`.trim()}`);
}

function readJson(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}

function say(text) {
  process.stderr.write(`${text} ...\n`);
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
