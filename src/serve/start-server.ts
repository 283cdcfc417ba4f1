/** The server on its port, from the first request to the last. */

import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { createPersonaTemplate, type PersonaTemplate } from '../data/persona-prompt.js';
import { ConfigError } from '../errors.js';
import { checkAccess, createGuard, urlHost } from './access.js';
import type { AccessEntry } from './access-log.js';
import { Admission } from './admission.js';
import { stopping } from './api-error.js';
import { createServeApp } from './app.js';
import type { UserPersonas } from './personas/user-personas.js';
import { type ServeOptions, serveOptionsSchema } from './serve-options.js';
import type { ServedModel } from './served-model.js';

export interface StartServerOptions extends ServeOptions {
  /** At least one, all of different names. They stay the caller's, who closes them after the server. */
  models: readonly ServedModel[];
  /** What clients must bring; it goes nowhere else. Default: none. */
  apiKey?: string | undefined;
  /** Default: personas are off. Stays the caller's, who closes them after the server. */
  personas?: UserPersonas | null;
  /** How a persona is put before the messages. Default: our own words. */
  personaTemplate?: PersonaTemplate;
  /** Hears of each request when its response has ended. */
  onAccess?: (entry: AccessEntry) => void;
  /** Hears of errors that clients are told nothing about. */
  onError?: (error: unknown) => void;
}

export interface RunningServer {
  /** `http://127.0.0.1:8000/v1`: what clients take as base URL. */
  readonly url: string;
  readonly port: number;
  /**
   * Takes no more requests; resolves when those under way have ended, which they must within `stopTimeoutMs`.
   *
   * @returns whether all of them were answered
   */
  stop(): Promise<boolean>;
}

/** How long a response that has been ended by force may take to tell its client. */
const LAST_WORDS_MS = 1000;

/**
 * Starts an OpenAI-compatible server: `POST /v1/chat/completions`, `GET /v1/models`, `GET /health`, and with personas
 * `GET` and `DELETE /v1/personas/{user}`.
 *
 * @throws ConfigError for options that cannot be used, an address that is taken, and one that other machines reach
 *   without a key
 */
export async function startServer({
  models,
  apiKey,
  personas = null,
  personaTemplate = createPersonaTemplate(),
  onAccess = () => {},
  onError = () => {},
  ...input
}: StartServerOptions): Promise<RunningServer> {
  const parsed = serveOptionsSchema.safeParse(input);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    throw new ConfigError(`The server cannot be started: ${problems.join('; ')}`);
  }
  const options = parsed.data;
  const { host, port, withoutKey, maxQueue, stopTimeoutMs } = options;
  checkAccess({ host, apiKey, withoutKey });
  checkNames(models);
  const admission = new Admission(models.reduce((sum, { maxBatch }) => sum + maxBatch, maxQueue));
  const ending = new AbortController();
  let isStopping = false;
  const app = createServeApp({
    ...{ models, options, admission, personas, personaTemplate, onAccess, onError },
    ending: ending.signal,
    guard: createGuard({ host, apiKey, withoutKey }),
    isStopping: () => isStopping,
  });
  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server;
  await listen(server, host, port);
  const { port: taken } = server.address() as AddressInfo;

  async function stop(): Promise<boolean> {
    isStopping = true;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    const answered = await admission.empty(stopTimeoutMs);
    if (!answered) {
      ending.abort(stopping());
      await admission.empty(LAST_WORDS_MS);
    }
    // Connections that are kept alive have nothing more to say.
    await new Promise((resolve) => setImmediate(resolve));
    server.closeIdleConnections();
    const force = setTimeout(() => server.closeAllConnections(), LAST_WORDS_MS);
    await closed;
    clearTimeout(force);
    return answered;
  }

  let stopped: Promise<boolean> | undefined;
  return {
    url: `http://${urlHost(host)}:${taken}/v1`,
    port: taken,
    stop: () => (stopped ??= stop()),
  };
}

function checkNames(models: readonly ServedModel[]): void {
  if (models.length === 0) throw new ConfigError('There is no model to serve.');
  const names = models.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) throw new ConfigError(`Two models have the name ${twice}.`);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'the port is taken' : error.message;
      reject(new ConfigError(`The server cannot listen on ${host}:${port}: ${why}.`, { cause: error }));
    };
    server.once('error', fail);
    server.listen(port, host, () => {
      server.off('error', fail);
      resolve();
    });
  });
}
