/** An OpenAI-compatible server on the loopback that answers as a test says, well or badly. */

import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { ChatModelOptions } from '../../src/llm/chat-model-options.js';
import { resolveChatModelOptions } from '../../src/llm/chat-model-options.js';
import type { ServerChatModelOptions } from '../../src/llm/server/options.js';

export interface Asked {
  path: string;
  /** Counted from 0, over all requests. */
  nth: number;
  headers: IncomingHttpHeaders;
  body: {
    messages?: { role: string; content: string }[];
    stream?: boolean;
    stream_options?: unknown;
    [field: string]: unknown;
  };
  at: number;
}

export type Behaviour = (asked: Asked, response: ServerResponse) => unknown;

export interface FakeServer {
  url: string;
  asked: Asked[];
  /** Most requests that were under way at a time. */
  most: number;
  /** Connections that are open now. */
  sockets: Set<Socket>;
  /** The text of the last message of each chat request, in the order of arrival. */
  prompts(): string[];
  close(): Promise<void>;
}

export async function startFakeServer(behave: Behaviour): Promise<FakeServer> {
  const sockets = new Set<Socket>();
  let underWay = 0;
  const server = createServer(async (request, response) => {
    fake.most = Math.max(fake.most, ++underWay);
    response.on('close', () => underWay--);
    let text = '';
    for await (const chunk of request) text += chunk;
    const { headers, url = '' } = request;
    const asked: Asked = {
      ...{ path: url, nth: fake.asked.length, headers, at: Date.now() },
      body: text === '' ? {} : JSON.parse(text),
    };
    fake.asked.push(asked);
    await behave(asked, response);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const fake: FakeServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    asked: [],
    most: 0,
    sockets,
    prompts: () => fake.asked.flatMap(({ body }) => body.messages?.at(-1)?.content ?? []),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return fake;
}

export interface FakeReply {
  text?: string;
  finishReason?: string | null;
  usage?: { prompt_tokens: number; completion_tokens: number } | null;
}

/** A reply as the request wants it, whole or in pieces of three characters. */
export function sendReply({ body }: Asked, response: ServerResponse, reply: FakeReply = {}): void {
  const { finishReason = 'stop', usage = { prompt_tokens: 7, completion_tokens: 3 } } = reply;
  const text = reply.text ?? `echo ${body.messages?.at(-1)?.content}`;
  if (body.stream !== true) {
    sendJson(response, 200, {
      choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: finishReason }],
      usage,
    });
    return;
  }
  startStream(response);
  for (const piece of text.match(/[\s\S]{1,3}/g) ?? []) sendPiece(response, { content: piece });
  sendPiece(response, {}, finishReason);
  if (body.stream_options !== undefined) sendEvent(response, { choices: [], usage });
  response.end('data: [DONE]\n\n');
}

export function sendJson(
  response: ServerResponse,
  status: number,
  content: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(content));
}

export function sendError(
  response: ServerResponse,
  status: number,
  message = 'no',
  headers: Record<string, string> = {},
): void {
  sendJson(response, status, { error: { message, type: 'test' } }, headers);
}

export function startStream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
}

export function sendPiece(
  response: ServerResponse,
  delta: object,
  finish_reason: string | null = null,
): void {
  sendEvent(response, { choices: [{ index: 0, delta, finish_reason }] });
}

export function sendEvent(response: ServerResponse, event: unknown): void {
  response.write(`data: ${JSON.stringify(event)}\n\n`);
}

/** Options for a fake server, with times in which a test can be patient. */
export function serverOptions(
  { url }: { url: string },
  options: Partial<Extract<ChatModelOptions, { kind: 'server' }>> = {},
): ServerChatModelOptions {
  return resolveChatModelOptions({
    ...{ kind: 'server', baseUrl: url, model: 'tiny', contextTokens: 4096 },
    ...{ retryDelayMs: 5, maxRetries: 3 },
    ...options,
  }) as ServerChatModelOptions;
}

/** All outcomes, in the order of the requests. */
export async function collect<Outcome extends { index: number }>(
  outcomes: AsyncIterable<Outcome>,
): Promise<Outcome[]> {
  const all: Outcome[] = [];
  for await (const outcome of outcomes) all[outcome.index] = outcome;
  return all;
}

export const ask = (content: string, rest: object = {}) => ({
  id: content,
  messages: [{ role: 'user' as const, content }],
  ...rest,
});
