import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { crc32, deflateRawSync } from 'node:zlib';
import type { Wheel } from '../../../src/runtime/install/pinned-files.js';

export interface FakeWheel {
  wheel: Wheel;
  data: Buffer;
}

/** A wheel (a zip archive) of a few files, with the pin that belongs to it. */
export function makeWheel(project: string, files: Record<string, string | Buffer>): FakeWheel {
  const data = zip(files);
  const sha256 = createHash('sha256').update(data).digest('hex');
  const file = `${project.replaceAll('-', '_')}-1.0-py3-none-any.whl`;
  return { data, wheel: { kind: 'wheel', project, version: '1.0', file, bytes: data.length, sha256 } };
}

/** A zip archive, deflated; paths under `bin/` are executable. */
export function zip(files: Record<string, string | Buffer>): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of Object.entries(files)) {
    const bytes = Buffer.from(content);
    const packed = deflateRawSync(bytes);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(8, 4);
    common.writeUInt32LE(crc32(bytes), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(bytes.length, 18);
    common.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name), packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(((name.includes('bin/') ? 0o755 : 0o644) << 16) >>> 0, 6);
    tail.writeUInt32LE(offset, 10);
    // "Version made by" 3 is Unix: then the upper half of the attributes is the mode.
    central.push(Buffer.from('PK\x01\x02\x14\x03'), common, tail, Buffer.from(name));
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(Object.keys(files).length, 8);
  end.writeUInt16LE(Object.keys(files).length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}

export interface FakeIndexOptions {
  /** PEP 691 or PEP 503. Default json. */
  format?: 'json' | 'html';
  /** Whether the file server knows ranges. Default true. */
  ranges?: boolean;
  /** For the n-th file request: the connection breaks after so many bytes. */
  cuts?: number[];
  /** For the n-th file request: the answer has this status instead. */
  statuses?: number[];
}

export interface FakeIndex {
  url: string;
  /** What was asked for files, in order. */
  requests: { range: string | undefined; authorization: string | undefined }[];
  close(): Promise<void>;
}

/** A package index on a port of this machine, with unreliable moments on demand. */
export async function startIndex(
  wheels: readonly FakeWheel[],
  { format = 'json', ranges = true, cuts = [], statuses = [] }: FakeIndexOptions = {},
): Promise<FakeIndex> {
  const requests: FakeIndex['requests'] = [];
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://index').pathname;
    const project = /^\/simple\/([^/]+)\/$/.exec(path)?.[1];
    if (project !== undefined) return sendPage(response, wheels, project, format);
    const found = wheels.find(({ wheel }) => path === `/files/${wheel.file}`);
    if (found === undefined) return void response.writeHead(404).end();
    const number = requests.length;
    requests.push({ range: request.headers.range, authorization: request.headers.authorization });
    const status = statuses[number];
    if (status !== undefined && status !== 200) return void response.writeHead(status).end();
    sendFile(request, response, found.data, { ranges, cut: cuts[number] });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/simple`,
    requests,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function sendPage(
  response: ServerResponse,
  wheels: readonly FakeWheel[],
  project: string,
  format: 'json' | 'html',
): void {
  const listed = wheels.filter(({ wheel }) => wheel.project === project).map(({ wheel }) => wheel);
  if (listed.length === 0) return void response.writeHead(404).end();
  if (format === 'json') {
    const files = listed.map(({ file }) => ({ filename: file, url: `../../files/${file}`, hashes: {} }));
    response.writeHead(200, { 'content-type': 'application/vnd.pypi.simple.v1+json' });
    return void response.end(JSON.stringify({ meta: { 'api-version': '1.0' }, files }));
  }
  const links = listed.map(
    ({ file, sha256 }) => `<a data-x="1"\n href="../../files/${file}#sha256=${sha256}">${file}</a><br/>`,
  );
  response.writeHead(200, { 'content-type': 'text/html' });
  response.end(`<!DOCTYPE html><html><body>${links.join('\n')}</body></html>`);
}

function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  data: Buffer,
  { ranges, cut }: { ranges: boolean; cut: number | undefined },
): void {
  const start = ranges ? Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0) : 0;
  const body = data.subarray(start);
  const headers = { 'content-length': body.length, connection: 'close' };
  if (start > 0)
    response.writeHead(206, {
      ...headers,
      'content-range': `bytes ${start}-${data.length - 1}/${data.length}`,
    });
  else response.writeHead(200, headers);
  if (cut === undefined) return void response.end(body);
  response.write(body.subarray(0, cut), () => setTimeout(() => response.destroy(), 20));
}
