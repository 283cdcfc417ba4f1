/**
 * Runs tfjs-core's own specs on our binding and writes what came of each to the file named by the first argument.
 * Bundled by build-bundle.ts: `@tensorflow/tfjs` is tfjs-core's sources here, so that specs, kernels and engine are
 * one copy.
 */

import { writeFileSync } from 'node:fs';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs';
import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops.js';
import '@tensorflow/tfjs-core/dist/register_all_gradients.js';
import '@tensorflow/tfjs-node-gpu/dist/register_all_kernels.js';
import { setTestEnvs } from '@tensorflow/tfjs-core/dist/jasmine_util.js';
import { NodeJSKernelBackend } from '@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js';
// @ts-expect-error: the package comes without types
import Jasmine from 'jasmine';
import { createBinding } from '../../../src/runtime/tfjs/binding.js';

export interface SpecResults {
  /** Every spec that ran. */
  names: string[];
  passed: number;
  failed: { name: string; message: string }[];
  skipped: string[];
}

interface SpecResult {
  status: string;
  fullName: string;
  failedExpectations: { message: string }[];
}

const [, , resultsFile] = process.argv;
const legacyUtil = util as unknown as Record<string, unknown>;
legacyUtil.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
legacyUtil.isArray ??= Array.isArray;

const backend = new NodeJSKernelBackend(
  createBinding() as unknown as ConstructorParameters<typeof NodeJSKernelBackend>[0],
  '@tensorflow/tfjs-node-gpu',
);
tf.registerBackend('tensorflow', () => backend, 3);
await tf.setBackend('tensorflow');
setTestEnvs([{ name: 'test-tensorflow', backendName: 'tensorflow', flags: {}, isDataSync: true }]);

const runner = new Jasmine();
runner.loadConfig({ spec_files: [], random: false });
runner.exitOnCompletion = false;
await import('@tensorflow/tfjs-core/dist/tests.js');

const results: SpecResults = { names: [], passed: 0, failed: [], skipped: [] };
runner.env.clearReporters();
runner.env.addReporter({
  specDone({ status, fullName, failedExpectations }: SpecResult) {
    if (status !== 'passed' && status !== 'failed') {
      results.skipped.push(fullName);
      return;
    }
    results.names.push(fullName);
    if (status === 'passed') results.passed++;
    else results.failed.push({ name: fullName, message: failedExpectations[0]?.message ?? '' });
  },
  jasmineDone() {
    writeFileSync(resultsFile as string, JSON.stringify(results));
  },
});
await runner.execute();
