import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { assetsFile, pageAssets } from '../../scripts/build-report-page.js';

const page = join(import.meta.dirname, '..', '..', 'src', 'report', 'page');

test('what the report takes is what the sources of its page give (else: npx tsx scripts/build-report-page.ts)', async () => {
  expect(readFileSync(assetsFile, 'utf8')).toBe(await pageAssets());
});

test('the sources of the page, and its tests in a browser, are sound TypeScript for browsers', () => {
  const host = { ...ts.sys, onUnRecoverableConfigFileDiagnostic: () => undefined };
  const config = ts.getParsedCommandLineOfConfigFile(join(page, 'tsconfig.json'), {}, host);
  const program = ts.createProgram(config?.fileNames ?? [], { ...config?.options, noEmit: true });
  const own = program
    .getSourceFiles()
    .filter(({ fileName }) => /\/(src|tests)\/report\/page\//.test(fileName));
  expect(own.length).toBeGreaterThan(10);
  const problems = own.flatMap((file) => [
    ...program.getSyntacticDiagnostics(file),
    ...program.getSemanticDiagnostics(file),
  ]);
  expect(problems.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([]);
}, 240_000);
