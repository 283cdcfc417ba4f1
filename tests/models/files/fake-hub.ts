import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach } from 'vitest';

export const COMMIT = 'c'.repeat(40);

export interface FakeHubRequest {
  server: 'hub' | 'files';
  method: string;
  path: string;
  range: string | undefined;
  authorization: string | undefined;
}

export interface FakeHub {
  endpoint: string;
  requests: FakeHubRequest[];
  /** Called before an answer; true means that it has answered (or cut the connection) itself. */
  intercept: (request: FakeHubRequest, response: ServerResponse) => boolean;
  /** Bytes after which the body of a large file is cut, once each. */
  cuts: number[];
}

/**
 * Two local servers that play the Hugging Face Hub: the Hub itself (model info, HEAD and redirects) and another origin
 * that holds the large files, as the Hub's does. Closed after each test.
 */
export function fakeHubs(): (
  files: Record<string, string | Uint8Array>,
  large?: readonly string[],
) => Promise<FakeHub> {
  const servers: Server[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
  const listen = async (handle: (request: IncomingMessage, response: ServerResponse) => void) => {
    const server = createServer(handle);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };

  return async (files, large = ['model.safetensors']) => {
    const content = new Map(Object.entries(files).map(([name, data]) => [name, Buffer.from(data)]));
    const hub: FakeHub = { endpoint: '', requests: [], intercept: () => false, cuts: [] };
    const note = (server: 'hub' | 'files', request: IncomingMessage): FakeHubRequest => {
      const { method = '', url = '', headers } = request;
      const noted = { server, method, path: url, range: headers.range, authorization: headers.authorization };
      hub.requests.push(noted);
      return noted;
    };
    const sendFile = (request: FakeHubRequest, response: ServerResponse, bytes: Buffer) => {
      const from = request.range === undefined ? 0 : Number(/^bytes=(\d+)-$/.exec(request.range)![1]);
      if (from >= bytes.length && from > 0) {
        response.writeHead(416).end();
        return;
      }
      const rest = bytes.subarray(from);
      const range = { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` };
      response.writeHead(from > 0 ? 206 : 200, { 'content-length': rest.length, ...(from > 0 ? range : {}) });
      const cut = request.server === 'files' ? hub.cuts.shift() : undefined;
      if (cut === undefined || cut >= rest.length) response.end(rest);
      // the pause lets the bytes be read, on a busy machine too, before the connection is cut
      else response.write(rest.subarray(0, cut), () => setTimeout(() => response.destroy(), 250));
    };

    const filesOrigin = await listen((request, response) => {
      const noted = note('files', request);
      if (!hub.intercept(noted, response))
        sendFile(noted, response, content.get(noted.path.slice('/large/'.length))!);
    });
    hub.endpoint = await listen((request, response) => {
      const noted = note('hub', request);
      if (hub.intercept(noted, response)) return;
      const info = /^\/api\/models\/owner\/name\/revision\/(.+)$/.exec(noted.path);
      if (info !== null) {
        const siblings = [...content.keys()].map((rfilename) => ({ rfilename }));
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ id: 'owner/name', sha: COMMIT, siblings }));
        return;
      }
      const file = new RegExp(`^/owner/name/resolve/${COMMIT}/(.+)$`).exec(noted.path)?.[1];
      const bytes = file === undefined ? undefined : content.get(file);
      if (file === undefined || bytes === undefined) {
        response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end();
      } else if (large.includes(file)) {
        const headers = {
          location: `${filesOrigin}/large/${file}`,
          etag: '"of-the-redirect"',
          'x-repo-commit': COMMIT,
          'x-linked-etag': `"${createHash('sha256').update(bytes).digest('hex')}"`,
          'x-linked-size': bytes.length,
        };
        response.writeHead(302, headers).end();
      } else if (noted.method === 'HEAD') {
        const oid = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
        response
          .writeHead(200, { etag: `W/"${oid}"`, 'x-repo-commit': COMMIT, 'content-length': bytes.length })
          .end();
      } else sendFile(noted, response, bytes);
    });
    return hub;
  };
}
