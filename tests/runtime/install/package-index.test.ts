import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { downloadFile, fileUrl } from '../../../src/runtime/install/package-index.js';
import { type FakeIndexOptions, makeWheel, startIndex } from './fake-index.js';
import { temporaryFolder } from './temporary-folder.js';

// Bytes that do not compress: the archive is as long as they are.
const noise = Buffer.concat(
  Array.from({ length: 1_000 }, (_, i) => createHash('sha256').update(String(i)).digest()),
);
const sample = makeWheel('some-library', { 'some/library.so': noise });
const { data, wheel } = sample;

async function serve(options: FakeIndexOptions = {}) {
  const index = await startIndex([sample], options);
  onTestFinished(() => index.close());
  return index;
}

async function download(options: FakeIndexOptions = {}, prepare: (target: string) => void = () => undefined) {
  const index = await serve(options);
  const target = join(temporaryFolder(), wheel.file);
  prepare(target);
  const counts: number[] = [];
  const url = await fileUrl(index.url, wheel);
  await downloadFile(url, target, { bytes: wheel.bytes, onBytes: (done) => counts.push(done) });
  return { target, counts, requests: index.requests };
}

describe('a file of an index', () => {
  it.each(['json', 'html'] as const)('is found in a %s page', async (format) => {
    const { url } = await serve({ format });
    expect(await fileUrl(url, wheel)).toMatch(/\/files\/some_library-1\.0-py3-none-any\.whl/);
    expect(await fileUrl(`${url}/`, wheel)).toMatch(/\/files\//);
  });

  it('is missed by project and by name', async () => {
    const { url } = await serve();
    await expect(fileUrl(url, { ...wheel, project: 'other' })).rejects.toThrow(/answered 404.*other/);
    await expect(fileUrl(url, { ...wheel, file: 'other.whl' })).rejects.toThrow(/lists no file other\.whl/);
  });
});

describe('a download', () => {
  it('is whole, counted, and leaves no partial file', async () => {
    const { target, counts } = await download();
    expect(readFileSync(target).equals(data)).toBe(true);
    expect(counts.at(-1)).toBe(data.length);
    expect(existsSync(`${target}.partial`)).toBe(false);
  });

  it('goes on where the connection broke', async () => {
    const { target, requests } = await download({ cuts: [5_000, 7_000] });
    expect(readFileSync(target).equals(data)).toBe(true);
    expect(requests.map(({ range }) => range)).toEqual([undefined, 'bytes=5000-', 'bytes=12000-']);
  });

  it('goes on where another process was interrupted', async () => {
    const { target, requests } = await download({}, (path) =>
      writeFileSync(`${path}.partial`, data.subarray(0, 4_321)),
    );
    expect(readFileSync(target).equals(data)).toBe(true);
    expect(requests.map(({ range }) => range)).toEqual(['bytes=4321-']);
  });

  it('starts over with a server that knows no ranges', async () => {
    const { target, requests } = await download({ ranges: false, cuts: [5_000] });
    expect(readFileSync(target).equals(data)).toBe(true);
    expect(requests).toHaveLength(2);
  });

  it('starts over where the partial file is longer than the file', async () => {
    const { target } = await download({}, (path) =>
      writeFileSync(`${path}.partial`, Buffer.alloc(data.length + 1)),
    );
    expect(readFileSync(target).equals(data)).toBe(true);
  });

  it('tries again after a server error, and not after a refusal', async () => {
    const { requests } = await download({ statuses: [503, 200] });
    expect(requests).toHaveLength(2);
    await expect(download({ statuses: [403] })).rejects.toThrow(/was refused: status 403/);
  });

  it('gives up on a connection that never gains a byte, and says how far it came', async () => {
    await expect(download({ statuses: Array(9).fill(503) })).rejects.toThrow(
      /broke off at 0 of \d+ bytes \(status 503\)/,
    );
  });

  it('refuses more bytes than were pinned', async () => {
    const { url } = await serve();
    const target = join(temporaryFolder(), 'x.whl');
    const options = { bytes: data.length - 1, onBytes: () => undefined };
    await expect(downloadFile(await fileUrl(url, wheel), target, options)).rejects.toThrow(/longer than/);
    expect(existsSync(target)).toBe(false);
  });

  it('sends credentials of the index in a header, and never shows them', async () => {
    const index = await serve({ statuses: [200, 403] });
    const withUser = index.url.replace('http://', 'http://me:s%40cret@');
    const url = await fileUrl(withUser, wheel);
    const target = join(temporaryFolder(), 'x.whl');
    const options = { bytes: wheel.bytes, onBytes: () => undefined };
    await downloadFile(url, target, options);
    const header = `Basic ${Buffer.from('me:s@cret').toString('base64')}`;
    expect(index.requests[0]?.authorization).toBe(header);
    const refusal = await downloadFile(url, `${target}2`, options).catch((error: Error) => error.message);
    expect(refusal).toMatch(/status 403/);
    expect(refusal).not.toMatch(/cret/);
  });
});
