/**
 * HTTP for the `openai` package, in place of Node's `fetch`: with a limit on connecting, without fetch's own of five
 * minutes on an answer's head (a busy server may need longer), no redirects, and connections that can be closed.
 */
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';

/** Open connections of one model's server. */
export class Connections {
  readonly http = new HttpAgent({ keepAlive: true });
  readonly https = new HttpsAgent({ keepAlive: true });

  close(): void {
    this.http.destroy();
    this.https.destroy();
  }
}

export interface HttpFetchOptions {
  connections: Connections;
  connectTimeoutMs: number;
  /** Called when anything arrives: the head of the answer, a part of its body. */
  onBytes: () => void;
  /** Called with the body of an answer that is no success. */
  onFailureBody: (body: string) => void;
}

/** The headers that a server is sent; what else the package says about this machine stays here. */
const SENT_HEADERS = ['accept', 'authorization', 'content-type', 'user-agent'];

/** More than any answer to a chat request. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** Statuses of answers that have no body. */
const BODILESS = new Set([204, 205, 304]);

/** Could not connect in time. */
export class ConnectTimeout extends Error {
  readonly code = 'CONNECT_TIMEOUT';
}

export type HttpFetch = (url: string | URL | Request, init?: RequestInit) => Promise<Response>;

export function httpFetch(options: HttpFetchOptions): HttpFetch {
  return async (url, init = {}) => {
    const message = await answerTo(new URL(String(url)), init, options);
    options.onBytes();
    const status = message.statusCode ?? 0;
    const headers = new Headers();
    for (const [name, values = []] of Object.entries(message.headersDistinct)) {
      for (const value of values) headers.append(name, value);
    }
    const body = BODILESS.has(status) ? null : bodyOf(message, options.onBytes);
    const response = new Response(body, { status, headers });
    if (response.ok) return response;
    const text = await response.text();
    options.onFailureBody(text);
    return new Response(BODILESS.has(status) ? null : text, { status, headers });
  };
}

function answerTo(
  url: URL,
  { method = 'GET', headers, body, signal }: RequestInit,
  { connections, connectTimeoutMs }: HttpFetchOptions,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const secure = url.protocol === 'https:';
    const given = new Headers(headers);
    const sent = SENT_HEADERS.flatMap((name) => {
      const value = given.get(name);
      return value === null ? [] : [[name, value] as const];
    });
    const content = typeof body === 'string' ? Buffer.from(body) : undefined;
    const request = (secure ? requestHttps : requestHttp)(url, {
      method,
      agent: secure ? connections.https : connections.http,
      headers: {
        ...Object.fromEntries(sent),
        ...(content === undefined ? {} : { 'content-length': content.length }),
      },
      ...(signal ? { signal } : {}),
    });
    request.on('socket', (socket) => {
      if (!socket.connecting) return;
      const timer = setTimeout(() => {
        request.destroy(new ConnectTimeout(`no connection within ${connectTimeoutMs} ms`));
      }, connectTimeoutMs);
      socket.once(secure ? 'secureConnect' : 'connect', () => clearTimeout(timer));
      socket.once('close', () => clearTimeout(timer));
    });
    request.on('error', reject);
    request.on('response', resolve);
    request.end(content);
  });
}

function bodyOf(message: IncomingMessage, onBytes: () => void): ReadableStream<Uint8Array> {
  const chunks = message[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let bytes = 0;
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done === true) {
        controller.close();
        return;
      }
      onBytes();
      bytes += value.length;
      if (bytes > MAX_BODY_BYTES) {
        message.destroy();
        throw new Error(`the answer is longer than ${MAX_BODY_BYTES} bytes`);
      }
      controller.enqueue(value);
    },
    cancel() {
      message.destroy();
    },
  });
}
