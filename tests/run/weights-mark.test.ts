import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isSameModel, markedWeights } from '../../src/run/weights-mark.js';
import { temporaryFolder } from './toy-stages.js';

const COMMIT = '0123456789abcdef0123456789abcdef01234567';

test('an id on the Hub has the commit of its revision, once the cache holds it', () => {
  const cacheDir = temporaryFolder();
  const folder = join(cacheDir, 'models--owner--name');
  expect(markedWeights('owner/name', { cacheDir })).toBe('owner/name');
  mkdirSync(join(folder, 'refs'), { recursive: true });
  writeFileSync(join(folder, 'refs', 'main'), COMMIT);
  expect(markedWeights('owner/name', { cacheDir })).toBe('owner/name');
  mkdirSync(join(folder, 'snapshots', COMMIT), { recursive: true });
  for (const name of ['config.json', 'model.safetensors']) {
    writeFileSync(join(folder, 'snapshots', COMMIT, name), '{}');
  }
  expect(markedWeights('owner/name', { cacheDir })).toBe('owner/name (revision 0123456789ab)');
  expect(markedWeights(`owner/name@${COMMIT}`, { cacheDir })).toContain('(revision 0123456789ab)');
  expect(markedWeights('owner/name@v2', { cacheDir })).toBe('owner/name@v2');
});

test('files on the disk have another mark when they have changed', () => {
  const folder = temporaryFolder();
  const weights = join(folder, 'model.safetensors');
  writeFileSync(weights, 'one');
  const before = markedWeights(folder, {});
  expect(before).toMatch(/ \([0-9a-f]{12}\)$/);
  expect(markedWeights(folder, {})).toBe(before);
  utimesSync(weights, 1, 1);
  expect(markedWeights(folder, {})).not.toBe(before);
});

test('a description without a revision says nothing against one with it; two revisions are two models', () => {
  expect(isSameModel('local a/b, auto', 'local a/b (revision 12ab), auto')).toBe(true);
  expect(isSameModel('local a/b (revision 12ab), auto', 'local a/b, auto')).toBe(true);
  expect(isSameModel('local a/b (revision 12ab)', 'local a/b (revision 34cd)')).toBe(false);
  expect(isSameModel('local a/b', 'local a/c (revision 34cd)')).toBe(false);
  expect(isSameModel(null, 'local a/b')).toBe(false);
});
