/** Wheels without pip: the simple API of a Python package index (PEP 503 and PEP 691), resuming what was cut off. */

import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { RuntimeInstallError } from '../../errors.js';
import type { Wheel } from './pinned-files.js';

const ACCEPT =
  'application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01';
/** How often in a row a connection may break without a byte gained. */
const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 250;

/** Where the index says a file lies. */
export async function fileUrl(indexUrl: string, wheel: Wheel): Promise<string> {
  const page = `${indexUrl.replace(/\/+$/, '')}/${wheel.project}/`;
  const response = await request(page, { accept: ACCEPT });
  if (!response.ok) {
    throw new RuntimeInstallError(
      `The package index answered ${response.status} for ${withoutCredentials(page)}, where the files of ` +
        `${wheel.project} should be listed.`,
      { details: { status: response.status } },
    );
  }
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') ?? false;
  const href = isJson ? hrefInJson(text, wheel.file) : hrefInHtml(text, wheel.file);
  if (href === undefined) {
    throw new RuntimeInstallError(
      `The package index at ${withoutCredentials(indexUrl)} lists no file ${wheel.file} for ${wheel.project}.`,
    );
  }
  return inheritCredentials(new URL(href, response.url), page).href;
}

/**
 * Downloads `url` to `target` through `target.partial`, which a later call goes on with.
 *
 * @throws RuntimeInstallError when the server refuses, sends another size, or the connection keeps breaking.
 */
export async function downloadFile(
  url: string,
  target: string,
  { bytes, onBytes }: { bytes: number; onBytes: (done: number) => void },
): Promise<void> {
  const partial = `${target}.partial`;
  await mkdir(dirname(target), { recursive: true });
  let failures = 0;
  let done = await size(partial);
  if (done > bytes) {
    await rm(partial);
    done = 0;
  }
  while (done < bytes) {
    const before = done;
    try {
      await fetchRest(url, partial, { done, bytes, onBytes });
    } catch (error) {
      if (error instanceof RuntimeInstallError) throw error;
      failures = (await size(partial)) > before ? 0 : failures + 1;
      if (failures >= ATTEMPTS) {
        throw new RuntimeInstallError(
          `The download of ${withoutCredentials(url)} broke off at ${await size(partial)} of ${bytes} bytes ` +
            `(${reason(error)}); run the command again to go on from there.`,
          { cause: error },
        );
      }
      await sleep(FIRST_PAUSE_MS * 2 ** Math.max(failures - 1, 0));
    }
    done = await size(partial);
  }
  await rename(partial, target);
}

async function fetchRest(
  url: string,
  partial: string,
  { done, bytes, onBytes }: { done: number; bytes: number; onBytes: (done: number) => void },
): Promise<void> {
  const response = await request(url, done > 0 ? { range: `bytes=${done}-` } : {});
  const resumed = response.status === 206 && startOf(response) === done;
  if (!resumed && response.status !== 200) {
    if (response.status >= 500) throw new Error(`status ${response.status}`);
    if (done > 0) await rm(partial, { force: true });
    throw new RuntimeInstallError(`${withoutCredentials(url)} was refused: status ${response.status}.`, {
      details: { status: response.status },
    });
  }
  if (response.body === null) throw new Error('an answer without a body');
  // A server that knows no ranges sends the file from its beginning: then so do we.
  let count = resumed ? done : 0;
  const counter = new Transform({
    transform(chunk: Uint8Array, _encoding, next) {
      count += chunk.byteLength;
      if (count > bytes) {
        next(
          new RuntimeInstallError(`${withoutCredentials(url)} is longer than the ${bytes} bytes expected.`),
        );
        return;
      }
      onBytes(count);
      next(null, chunk);
    },
  });
  const file = createWriteStream(partial, { flags: resumed ? 'a' : 'w' });
  await pipeline(Readable.fromWeb(response.body as import('node:stream/web').ReadableStream), counter, file);
}

function startOf(response: Response): number | undefined {
  const match = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '');
  return match ? Number(match[1]) : undefined;
}

/** `fetch`, with the credentials that a URL carries sent as it wants them: in a header. */
async function request(url: string, headers: Record<string, string>): Promise<Response> {
  const target = new URL(url);
  const { username, password } = target;
  if (username === '') return fetch(target, { headers });
  target.username = '';
  target.password = '';
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
  return fetch(target, { headers: { ...headers, authorization } });
}

/** The index's credentials go along to files on the same host, and nowhere else. */
function inheritCredentials(url: URL, page: string): URL {
  const { host, username, password } = new URL(page);
  if (url.host === host && url.username === '') {
    url.username = username;
    url.password = password;
  }
  return url;
}

function withoutCredentials(url: string): string {
  const plain = new URL(url);
  plain.username = '';
  plain.password = '';
  return plain.href;
}

function hrefInJson(text: string, file: string): string | undefined {
  const { files } = JSON.parse(text) as { files?: { filename: string; url: string }[] };
  return files?.find(({ filename }) => filename === file)?.url;
}

function hrefInHtml(text: string, file: string): string | undefined {
  const hrefs = [...text.matchAll(/<a\s[^>]*href\s*=\s*["']([^"']+)["']/gi)].map(
    ([, href]) => href as string,
  );
  return hrefs
    .map((href) => href.replaceAll('&amp;', '&'))
    .find((href) => {
      const path = href.split(/[?#]/)[0] as string;
      return decodeURIComponent(path.slice(path.lastIndexOf('/') + 1)) === file;
    });
}

function reason(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}

async function size(path: string): Promise<number> {
  return stat(path).then(
    (stats) => stats.size,
    () => 0,
  );
}
