/**
 * Bundles the script and styles of the report's page (`src/report/page`) into `src/report/page-assets.ts`, from where
 * the report takes them wherever it runs. To be run after a change there; a test holds the two together.
 */

import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), 'src', 'report');
export const assetsFile = join(folder, 'page-assets.ts');

/** The text of the file. */
export async function pageAssets(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(folder, 'page', 'main.ts'), join(folder, 'page', 'styles.css')],
    bundle: true,
    minify: true,
    write: false,
    outdir: folder,
    format: 'esm',
    // What has `color-scheme` and `Array.prototype.at`: browsers since the spring of 2022.
    target: ['es2022', 'chrome98', 'firefox96', 'safari15.4'],
    charset: 'ascii',
    legalComments: 'none',
  });
  const textOf = (ending: string) => outputFiles.find(({ path }) => path.endsWith(ending))?.text.trim();
  return `// Made by scripts/build-report-page.ts out of page/: not to be changed by hand.

export const pageScript = ${JSON.stringify(textOf('.js'))};

export const pageStyles = ${JSON.stringify(textOf('.css'))};
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(assetsFile, await pageAssets());
