/** Bundles tfjs-core's specs with our binding into one file that Node runs. */

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import ts from 'typescript';

/**
 * tfjs-core's sources as ES5: tfjs-node's kernels are ES5 classes, which cannot extend ES2015 ones.
 */
const downlevel: Plugin = {
  name: 'tfjs-core-as-es5',
  setup({ onLoad, onResolve, resolve }) {
    onLoad({ filter: /tfjs-core[\\/]dist[\\/].*\.js$/ }, async ({ path }) => {
      const { outputText } = ts.transpileModule(await readFile(path, 'utf8'), {
        compilerOptions: {
          target: ts.ScriptTarget.ES5,
          module: ts.ModuleKind.ESNext,
          downlevelIteration: true,
          allowJs: true,
        },
      });
      return { contents: outputText, loader: 'js' };
    });
    onResolve({ filter: /^@tensorflow\/tfjs$/ }, ({ resolveDir }) =>
      resolve('@tensorflow/tfjs-core', { resolveDir, kind: 'import-statement' }),
    );
  },
};

export async function buildBundle(outfile: string): Promise<void> {
  await build({
    entryPoints: [fileURLToPath(new URL('run-specs.ts', import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    mainFields: ['module', 'main'],
    external: ['koffi', 'jasmine'],
    // tfjs-core calls its registering modules free of side effects, which they are not.
    ignoreAnnotations: true,
    banner: {
      js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);",
    },
    logLevel: 'error',
    plugins: [downlevel],
  });
}
