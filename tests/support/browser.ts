/**
 * A browser without a window, for tests of pages: the one that `PERSONA_DPO_CHROMIUM` names, one on the path, or the
 * one that npm has installed.
 */

import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { type Browser, chromium } from 'playwright-core';

const run = promisify(execFile);
const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
// As root there is no sandbox to be had, and small machines have little shared memory.
const FLAGS = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--no-zygote'];

/** A browser; undefined where none can be started here, with the reason on standard error. */
export async function startBrowser(): Promise<Browser | undefined> {
  try {
    const found = installedBrowser();
    return found === undefined ? await startPackaged() : await start(found);
  } catch (error) {
    console.error(`No browser starts here, so tests of pages are skipped: ${(error as Error).message}`);
    return undefined;
  }
}

function start(executablePath: string, env: NodeJS.ProcessEnv = process.env): Promise<Browser> {
  const variables = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return chromium.launch({ executablePath, args: FLAGS, env: Object.fromEntries(variables) });
}

function installedBrowser(): string | undefined {
  const named = process.env.PERSONA_DPO_CHROMIUM;
  if (named !== undefined && named !== '') return named;
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders
    .flatMap((folder) => NAMES.map((name) => join(folder, name)))
    .find((path) => existsSync(path));
}

async function startPackaged(): Promise<Browser> {
  const folder = await unpackedBrowser();
  const executable = join(folder, 'chromium');
  const env = { ...process.env, FONTCONFIG_PATH: join(folder, 'fonts'), HOME: folder };
  try {
    return await start(executable, env);
  } catch {
    // A system that lacks its libraries (NSS, expat) has those that come with it.
    return await start(executable, { ...env, LD_LIBRARY_PATH: join(folder, 'al2023', 'lib') });
  }
}

/** The package's browser, unpacked once: into a place of its own, put where others look for it when it is whole. */
async function unpackedBrowser(): Promise<string> {
  const repository = join(import.meta.dirname, '..', '..');
  const manifest = join(repository, 'node_modules', '@sparticuz', 'chromium', 'package.json');
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  const folder = join(tmpdir(), `persona-dpo-browser-${version}`);
  if (existsSync(folder)) return folder;
  const staging = mkdtempSync(join(tmpdir(), 'persona-dpo-browser-'));
  const program = "import('@sparticuz/chromium').then(({ default: chromium }) => chromium.executablePath())";
  try {
    await run(process.execPath, ['--input-type=module', '--eval', program], {
      cwd: repository,
      // It unpacks into the folder for temporary files, and its libraries only where it believes itself there.
      env: { ...process.env, TMPDIR: staging, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs22.x' },
    });
    writeFileSync(join(staging, 'fonts', 'fonts.conf'), fontConfiguration(join(folder, 'fonts')));
    renameSync(staging, folder);
  } catch (error) {
    // Another process may have been faster.
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
  return folder;
}

/** The package's own names fixed folders; without any font the browser's pages crash. */
function fontConfiguration(folder: string): string {
  return [
    '<?xml version="1.0"?>',
    '<!DOCTYPE fontconfig SYSTEM "fonts.dtd">',
    `<fontconfig><dir>${folder}</dir><cachedir>${join(folder, 'cache')}</cachedir></fontconfig>`,
    '',
  ].join('\n');
}
