/** One file of a repository into the cache's blobs: resumed where it was cut, checked, then renamed. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { reasonOf } from './file-reading.js';
import {
  connectionProblem,
  type HubConnection,
  hubError,
  hubFetch,
  PassingFailure,
  refuseFailedAnswer,
  withRetries,
} from './hub-http.js';

/** What the Hub says about a file before it is sent. */
export interface RemoteFile {
  name: string;
  url: string;
  /** Its hash, and its name among the blobs: sha256 of files in large-file storage, git's object id of others. */
  etag: string;
  size: number;
}

const PROGRESS_INTERVAL_MS = 100;

/** Asks for a file's hash and size, which the Hub gives with the redirect to where the bytes are. */
export async function remoteFile(
  connection: HubConnection,
  url: string,
  name: string,
  what: string,
): Promise<RemoteFile> {
  return withRetries(connection, what, async () => {
    const response = await hubFetch(connection, url, { method: 'HEAD', followElsewhere: false });
    await refuseFailedAnswer(response, what, connection.token !== undefined);
    const etag = (response.headers.get('x-linked-etag') ?? response.headers.get('etag') ?? '')
      .replace(/^W\//, '')
      .replaceAll('"', '');
    const size = Number(
      response.headers.get('x-linked-size') ?? response.headers.get('content-length') ?? Number.NaN,
    );
    // the etag becomes a file name
    if (!/^[\w-][\w.-]{7,255}$/.test(etag)) {
      throw hubError(
        'refused',
        `${what}: the server gives no usable etag (${JSON.stringify(etag)}); is the endpoint a Hub?`,
      );
    }
    if (!Number.isSafeInteger(size) || size < 0)
      throw hubError('refused', `${what}: the server gives no size.`);
    return { name, url, etag, size };
  });
}

/**
 * Downloads a file to `blobPath`, through `blobPath.incomplete`, which a later call goes on with. Size and
 * hash are checked before the rename; a file whose hash is wrong is removed and is an error ('corrupt').
 */
export async function downloadBlob(
  connection: HubConnection,
  file: RemoteFile,
  blobPath: string,
): Promise<void> {
  const incomplete = `${blobPath}.incomplete`;
  await mkdir(dirname(blobPath), { recursive: true });
  await withRetries(connection, file.name, () => fetchRest(connection, file, incomplete));
  await checkHash(file, incomplete);
  await rename(incomplete, blobPath);
}

async function fetchRest(connection: HubConnection, file: RemoteFile, incomplete: string): Promise<void> {
  let have = await sizeOf(incomplete);
  if (have > file.size) {
    await rm(incomplete, { force: true });
    have = 0;
  }
  if (have === file.size && have > 0) return;
  const watch = new AbortController();
  const headers: Record<string, string> = have > 0 ? { range: `bytes=${have}-` } : {};
  const response = await hubFetch(connection, file.url, { headers, signal: watch.signal });
  if (response.status === 416) {
    await response.body?.cancel();
    await rm(incomplete, { force: true });
    throw new PassingFailure('the server does not have the bytes that were asked for (416)', { waitMs: 0 });
  }
  await refuseFailedAnswer(response, file.name, connection.token !== undefined);
  const goesOn =
    response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${have}-`) === true;
  if (response.status === 206 && !goesOn) {
    await response.body?.cancel();
    await rm(incomplete, { force: true });
    throw new PassingFailure('the server sent another part of the file than was asked for', { waitMs: 0 });
  }
  const start = goesOn ? have : 0;
  const out = await openForWriting(incomplete, goesOn);
  try {
    await receive(connection, file, response, out, start, watch);
  } finally {
    await out.close();
  }
}

async function receive(
  connection: HubConnection,
  file: RemoteFile,
  response: Response,
  out: FileHandle,
  start: number,
  watch: AbortController,
): Promise<void> {
  let received = start;
  let reported = 0;
  let stalled = false;
  const onStall = () => {
    stalled = true;
    watch.abort();
  };
  let timer = setTimeout(onStall, connection.stallTimeoutMs);
  const report = () =>
    connection.onProgress({ file: file.name, receivedBytes: received, totalBytes: file.size });
  try {
    for await (const chunk of bodyOf(response)) {
      clearTimeout(timer);
      received += chunk.byteLength;
      if (received > file.size)
        throw hubError(
          'corrupt',
          `${file.name}: the server sends more than the ${file.size} bytes it announced.`,
        );
      await writeFully(out, chunk, file.name);
      if (Date.now() - reported >= PROGRESS_INTERVAL_MS) {
        reported = Date.now();
        report();
      }
      timer = setTimeout(onStall, connection.stallTimeoutMs);
    }
  } catch (cause) {
    if (stalled) throw new PassingFailure(`nothing came for ${connection.stallTimeoutMs} ms`);
    throw cause;
  } finally {
    clearTimeout(timer);
  }
  if (received < file.size)
    throw new PassingFailure(`the connection ended after ${received} of ${file.size} bytes`);
  report();
}

/** The body's pieces; what goes wrong on the way is a passing failure. */
async function* bodyOf(response: Response): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  try {
    for (;;) {
      const next = await reader.read().catch((cause: unknown) => {
        throw new PassingFailure(`the connection was cut: ${connectionProblem(cause)}`, { cause });
      });
      if (next.done) return;
      yield next.value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

async function openForWriting(path: string, goOn: boolean): Promise<FileHandle> {
  try {
    return await open(path, goOn ? 'a' : 'w');
  } catch (cause) {
    throw hubError('no-space', `${path} cannot be written: ${reasonOf(cause)}.`, { cause });
  }
}

async function writeFully(out: FileHandle, chunk: Uint8Array, name: string): Promise<void> {
  let done = 0;
  while (done < chunk.byteLength) {
    try {
      done += (await out.write(chunk, done)).bytesWritten;
    } catch (cause) {
      throw hubError('no-space', `${name} cannot be written to the cache: ${reasonOf(cause)}.`, { cause });
    }
  }
}

/** 64 hexadecimal digits are the content's sha256, 40 are git's object id: sha1 of `blob SIZE\0` and the content. */
async function checkHash(file: RemoteFile, path: string): Promise<void> {
  const hash = /^[0-9a-f]{64}$/.test(file.etag)
    ? createHash('sha256')
    : /^[0-9a-f]{40}$/.test(file.etag)
      ? createHash('sha1').update(`blob ${file.size}\0`)
      : undefined;
  if (hash === undefined) return;
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 }))
    hash.update(chunk as Uint8Array);
  const digest = hash.digest('hex');
  if (digest === file.etag) return;
  await rm(path, { force: true });
  throw hubError(
    'corrupt',
    `${file.name} arrived damaged: its hash is ${digest}, ${file.etag} was announced. It has been removed; try again.`,
  );
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return 0;
  }
}
