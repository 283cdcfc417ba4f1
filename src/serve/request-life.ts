/** When a request ends before its answer: the client leaves, it takes too long, the server stops. */

import { setMaxListeners } from 'node:events';
import { timedOut } from './api-error.js';

/** The client has closed the connection: nobody is there to be told anything. */
export class ClientGoneError extends Error {
  constructor() {
    super('the client has closed the connection');
    this.name = 'ClientGoneError';
  }
}

export interface RequestLife {
  /** Aborted with what the client is to be told, or a {@link ClientGoneError}. */
  readonly signal: AbortSignal;
  /** Ends the request for a reason of the caller's. */
  abort(reason: Error): void;
  /** Called when the request has ended: nothing can abort it any more. */
  end(): void;
}

/**
 * @param client Aborted when the connection closes
 * @param server Aborted, with the reason that clients are told, when no more answers are given
 */
export function requestLife(client: AbortSignal, server: AbortSignal, timeoutMs: number): RequestLife {
  const controller = new AbortController();
  // The model, the personas and the response all listen.
  setMaxListeners(0, controller.signal);
  const onClient = () => controller.abort(new ClientGoneError());
  const onServer = () => controller.abort(server.reason);
  const timer = setTimeout(() => controller.abort(timedOut(timeoutMs)), timeoutMs);
  const end = () => {
    clearTimeout(timer);
    client.removeEventListener('abort', onClient);
    server.removeEventListener('abort', onServer);
  };
  client.addEventListener('abort', onClient, { once: true });
  server.addEventListener('abort', onServer, { once: true });
  if (client.aborted) onClient();
  if (server.aborted) onServer();
  return { signal: controller.signal, abort: (reason) => controller.abort(reason), end };
}
