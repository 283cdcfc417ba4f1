/**
 * The package as a user gets it: packed, installed into an empty folder with install scripts on, set up, imported.
 * Everything goes through the registries that npm and pip are set up with.
 */

import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const repository = join(import.meta.dirname, '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-package-'));
const home = join(folder, 'home');
let tarball = '';

/** A user's environment: what this test run put into it is taken out. */
function userEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) =>
      !/^(npm_(?!config_(cache|registry|cafile|proxy|https_proxy|noproxy)$)|init_cwd$|persona_dpo_|vitest|node_options$|node_env$)/i.test(
        name,
      ),
  );
  return {
    ...Object.fromEntries(kept),
    PERSONA_DPO_HOME: home,
    npm_config_ignore_scripts: 'false',
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    // ONNX Runtime's install script fetches its CUDA libraries; where it can't reach them, we must install all the same.
    GLOBAL_AGENT_HTTPS_PROXY: 'http://127.0.0.1:9',
  };
}

async function inFolder(cwd: string, command: string, ...parameters: string[]): Promise<string> {
  try {
    const { stdout } = await run(command, parameters, { cwd, env: userEnvironment(), maxBuffer: 1 << 26 });
    return stdout;
  } catch (error) {
    const { message, stdout, stderr } = error as Error & { stdout: string; stderr: string };
    throw new Error(`${message}\n${stdout}\n${stderr}`);
  }
}

/** The files of a project, written into a new folder. */
function project(name: string, files: Record<string, string>): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return path;
}

const MANIFEST = JSON.stringify({ name: 'a-user', version: '1.0.0', private: true, type: 'module' });

const PROGRAM = `
import * as tfjs from '@tensorflow/tfjs';
import { dpoLoss, loadModel, tf, train, useTensorflowBackend } from 'persona-dpo';
const { losses, chosenRewards } = dpoLoss([-10], [-12], [-11], [-11], { beta: 0.1 });
await useTensorflowBackend();
const product = tfjs.matMul([[1, 2]], [[3], [4]]);
console.log(JSON.stringify({
  product: [...product.dataSync()],
  backends: [tfjs.getBackend(), tf.getBackend()],
  loss: losses[0],
  reward: chosenRewards[0],
  functions: [typeof loadModel, typeof train],
  isSameEngine: tf.engine() === tfjs.engine(),
}));
`;

const STRICT_PROGRAM = `
import { dpoLoss, loadModel, train } from 'persona-dpo';
const { losses }: { losses: number[] } = dpoLoss([-10], [-12], [-11], [-11]);
const functions: readonly ((...parameters: never[]) => unknown)[] = [loadModel, train];
console.log(losses.length, functions.length);
// @ts-expect-error beta is a number
dpoLoss([-10], [-12], [-11], [-11], { beta: 'large' });
`;

const STRICT_CONFIG = JSON.stringify({
  compilerOptions: {
    target: 'es2022',
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    // As `tsc --init` writes it: the types of tfjs do not fit those of a current browser library.
    skipLibCheck: true,
    types: ['node'],
    noEmit: true,
  },
  files: ['program.ts'],
});

beforeAll(async () => {
  await run(process.execPath, [join(repository, 'scripts', 'bootstrap.mjs')], { cwd: repository });
  await inFolder(repository, 'npm', 'pack', '--ignore-scripts', '--pack-destination', folder);
  tarball = join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? 'nothing-packed');
}, 300_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the packed package', () => {
  it.each(['10', '11'])(
    'installs with npm %s and its scripts on',
    async (version) => {
      const tool = project(`npm-${version}`, { 'package.json': MANIFEST });
      await inFolder(tool, 'npm', 'install', '--prefer-offline', '--ignore-scripts', `npm@${version}`);
      const npm = join(tool, 'node_modules', 'npm', 'bin', 'npm-cli.js');
      expect(await inFolder(tool, process.execPath, npm, '--version')).toMatch(new RegExp(`^${version}\\.`));

      const user = project(`user-${version}`, { 'package.json': MANIFEST, 'program.js': PROGRAM });
      await inFolder(user, process.execPath, npm, 'install', '--prefer-offline', tarball, '@types/node@20');
      expect(existsSync(join(user, 'node_modules', '@tensorflow', 'tfjs-node-gpu'))).toBe(false);
      expect(await inFolder(user, process.execPath, npm, 'exec', '--', 'persona-dpo', '--version')).toMatch(
        /^\d+\.\d+\.\d+/,
      );
    },
    240_000,
  );

  it('sets itself up, and says on the second call that everything is there', async () => {
    const user = join(folder, 'user-11');
    const first = JSON.parse(
      await inFolder(user, 'npx', 'persona-dpo', 'setup', '--device', 'cpu', '--json'),
    );
    expect(first.placed).toHaveLength(2);
    expect(first.tensorflow.startsWith(home)).toBe(true);
    expect(existsSync(join(first.tfjsNodeGpu, 'dist', 'register_all_kernels.js'))).toBe(true);
    const second = JSON.parse(
      await inFolder(user, 'npx', 'persona-dpo', 'setup', '--device', 'cpu', '--json'),
    );
    expect(second).toEqual({ ...first, placed: [] });
  }, 240_000);

  it.each(['10', '11'])('is imported from JavaScript (npm %s)', async (version) => {
    const output = await inFolder(join(folder, `user-${version}`), process.execPath, 'program.js');
    // Equation 1 with logits 2: -log sigmoid(0.1 * 2).
    const { loss, reward, functions, product, backends, isSameEngine } = JSON.parse(output);
    expect(loss).toBeCloseTo(Math.log1p(Math.exp(-0.2)), 6);
    expect(reward).toBeCloseTo(0.1, 6);
    expect(functions).toEqual(['function', 'function']);
    // The user's own tfjs runs on TensorFlow now, through the kernels that setup placed.
    expect([isSameEngine, product, backends]).toEqual([true, [11], ['tensorflow', 'tensorflow']]);
  });

  it('is imported from a strict TypeScript project, and its own types are sound', async () => {
    const user = join(folder, 'user-11');
    writeFileSync(join(user, 'program.ts'), STRICT_PROGRAM);
    writeFileSync(join(user, 'tsconfig.json'), STRICT_CONFIG);
    const tsc = [process.execPath, join(repository, 'node_modules', 'typescript', 'bin', 'tsc')] as const;
    expect(await inFolder(user, ...tsc)).toBe('');
    const everything = await inFolder(user, ...tsc, '--skipLibCheck', 'false').catch(
      (error: Error) => error.message,
    );
    expect(everything.split('\n').filter((line) => line.includes('persona-dpo/dist'))).toEqual([]);
  }, 120_000);
});
