import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  badNames,
  defaultExports,
  importViolations,
  type SourceFile,
  strayFiles,
  terminalViolations,
} from '../support/source-rules.js';

const root = join(import.meta.dirname, '..', '..', 'src');
const source: SourceFile[] = readdirSync(root, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => join(entry.parentPath, entry.name))
  .map((file) => ({
    path: relative(root, file).split(sep).join('/'),
    text: readFileSync(file, 'utf8'),
  }));

describe('the source keeps the house rules', () => {
  it('is there', () => {
    expect(source.length).toBeGreaterThan(10);
  });

  it('imports only from lower folders, and native runtimes only in runtime', () => {
    expect(importViolations(source)).toEqual([]);
  });

  it('lies in known folders', () => {
    expect(strayFiles(source)).toEqual([]);
  });

  it('leaves the environment, printing and exiting to the command line', () => {
    expect(terminalViolations(source)).toEqual([]);
  });

  it('has no default exports', () => {
    expect(defaultExports(source)).toEqual([]);
  });

  it('has kebab-case names', () => {
    expect(badNames(source)).toEqual([]);
  });
});

describe('the rules catch', () => {
  const file = (path: string, text: string): SourceFile[] => [{ path, text }];

  it.each([
    ['an import from a higher folder', 'kernels/a.ts', "import { x } from '../models/x.js';"],
    ['an import from a neighbour', 'losses/a.ts', "import type { X } from '../models/x.js';"],
    ['a re-export', 'runtime/deep/a.ts', "export * from '../../kernels/x.js';"],
    ['a dynamic import', 'train/a.ts', "const x = await import('../cli/main.js');"],
    ['anything but errors in data', 'data/a.ts', "import { t } from '../runtime/tensor.js';"],
    ['koffi outside runtime', 'models/a.ts', "import koffi from 'koffi';"],
    ['a deep import of a native package', 'models/a.ts', "import '@tensorflow/tfjs-node-gpu/dist/index.js';"],
    ['the command line in the public API', 'index.ts', "export { main } from './cli/main.js';"],
  ])('%s', (_name, path, text) => {
    expect(importViolations(file(path, text))).toHaveLength(1);
  });

  it('and let pass what is allowed', () => {
    const text =
      "import { x } from '../errors.js'; import { y } from './y.js'; import z from '@tensorflow/tfjs';";
    expect(importViolations(file('data/a.ts', text))).toEqual([]);
    expect(importViolations(file('runtime/a.ts', "import koffi from 'koffi';"))).toEqual([]);
  });

  it('the environment and the terminal, but not words in comments and strings', () => {
    const text =
      "// process.env\nconst s = 'console.log'; if (process.env.X) console.log(s); process.exit(1);";
    expect(terminalViolations(file('train/a.ts', text))).toEqual([
      'train/a.ts: process.env',
      'train/a.ts: console.log',
      'train/a.ts: process.exit',
    ]);
    expect(terminalViolations(file('cli/a.ts', text))).toEqual([]);
  });

  it('default exports of every kind', () => {
    expect(defaultExports(file('a.ts', 'export default 1;'))).toEqual(['a.ts']);
    expect(defaultExports(file('a.ts', 'export default function f() {}'))).toEqual(['a.ts']);
    expect(defaultExports(file('a.ts', 'export const a = 1;'))).toEqual([]);
  });

  it('names in other cases', () => {
    expect(badNames(file('data/camelCase.ts', ''))).toHaveLength(1);
    expect(badNames(file('data/snake_case.ts', ''))).toHaveLength(1);
    expect(badNames(file('data/kebab-case-2.ts', ''))).toEqual([]);
  });
});
