/** A server of the tiny model for tests, and clients that ask it. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { type LoadedModel, loadModel } from '../../src/models/load-model.js';
import type { AccessEntry } from '../../src/serve/access-log.js';
import { type RunningServer, type StartServerOptions, startServer } from '../../src/serve/start-server.js';
import { type TinyModelOptions, writeTinyModel } from '../support/tiny-model.js';

const folders: string[] = [];

/** A folder that {@link removeFolders} takes away. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'persona-dpo-serve-'));
  folders.push(path);
  return path;
}

export function removeFolders(): void {
  for (const each of folders.splice(0)) rmSync(each, { recursive: true, force: true });
}

export function loadTiny(options: TinyModelOptions = {}): Promise<LoadedModel> {
  const path = folder();
  writeTinyModel(path, options);
  return loadModel(path, { dtype: 'float32' });
}

export interface TestServer extends RunningServer {
  entries: AccessEntry[];
  errors: unknown[];
  client: OpenAI;
  /** Asks by fetch, for what the official client does not send. */
  ask(path: string, init?: RequestInit): Promise<{ status: number; headers: Headers; body: ErrorBody }>;
  /** The JSON of a POST to the chat completions. */
  chat(body: unknown, headers?: Record<string, string>): ReturnType<TestServer['ask']>;
}

export interface ErrorBody {
  error?: { message: string; type: string; param: string | null; code: string | null };
  [field: string]: unknown;
}

const running: RunningServer[] = [];

/** Starts a server on a free port; {@link stopServers} ends it. */
export async function serveForTest(options: StartServerOptions): Promise<TestServer> {
  const entries: AccessEntry[] = [];
  const errors: unknown[] = [];
  const server = await startServer({
    port: 0,
    stopTimeoutMs: 100,
    onAccess: (entry) => entries.push(entry),
    onError: (error) => errors.push(error),
    ...options,
  });
  running.push(server);
  const client = new OpenAI({ baseURL: server.url, apiKey: options.apiKey ?? 'none', maxRetries: 0 });
  const ask: TestServer['ask'] = async (path, init) => {
    const response = await fetch(new URL(path, server.url), init);
    const text = await response.text();
    const body = text === '' ? {} : JSON.parse(text);
    return { status: response.status, headers: response.headers, body };
  };
  return {
    ...server,
    ...{ entries, errors, client, ask },
    chat: (body, headers = {}) =>
      ask('/v1/chat/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
  };
}

export async function stopServers(): Promise<void> {
  await Promise.all(running.splice(0).map((server) => server.stop()));
}

/** Looks until something holds; a test that waits in vain is ended by its own limit. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5));
}
