import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { assetsFile, pageAssets } from '../../scripts/build-report-page.js';

test('what the report takes is what the sources of its page give (else: npx tsx scripts/build-report-page.ts)', async () => {
  expect(readFileSync(assetsFile, 'utf8')).toBe(await pageAssets());
});
