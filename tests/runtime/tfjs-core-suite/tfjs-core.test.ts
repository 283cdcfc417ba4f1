import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildBundle } from './build-bundle.js';
import { disabledByTfjs, knownFailures } from './known-failures.js';
import type { SpecResults } from './run-specs.js';

const LEAST_PASSES = 3870;
const TIME_LIMIT_MS = 120_000;

/** Inside the package, so that the bundle finds koffi and jasmine. */
const root = fileURLToPath(new URL('../../../', import.meta.url));

const shortName = (fullName: string) => fullName.replace(' test-tensorflow {}', '');

describe("tfjs-core's own test suite on this package's binding", () => {
  let folder: string;
  let results: SpecResults;

  beforeAll(async () => {
    folder = await mkdtemp(join(root, 'node_modules', '.tfjs-core-suite-'));
    const bundle = join(folder, 'specs.mjs');
    const resultsFile = join(folder, 'results.json');
    await buildBundle(bundle);
    const options = { timeout: TIME_LIMIT_MS, maxBuffer: 1 << 28 };
    await promisify(execFile)(process.execPath, [bundle, resultsFile], options);
    results = JSON.parse(await readFile(resultsFile, 'utf8'));
  }, 2 * TIME_LIMIT_MS);

  afterAll(() => rm(folder, { recursive: true, force: true }));

  test(`passes at least ${LEAST_PASSES} specs`, () => {
    expect(results.passed).toBeGreaterThanOrEqual(LEAST_PASSES);
  });

  test('fails none that is not on the list, for no other reason than the one listed', () => {
    const unexpected = results.failed.filter(
      ({ name, message }) =>
        !knownFailures.some((known) => shortName(name).startsWith(known.spec) && known.message.test(message)),
    );
    expect(unexpected).toEqual([]);
  });

  test('skips only what tfjs-core has switched off', () => {
    expect(results.skipped.map(shortName).sort()).toEqual([...disabledByTfjs].sort());
  });

  test('has no entry on the list without a spec', () => {
    const names = [...results.names, ...results.skipped].map(shortName);
    const stale = knownFailures.filter(({ spec }) => !names.some((name) => name.startsWith(spec)));
    expect(stale).toEqual([]);
  });
});
