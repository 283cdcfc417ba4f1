/** Who may ask: the key, and what stands in for it on a machine's own address. */

import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import { ConfigError } from '../errors.js';
import { ApiError } from './api-error.js';

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|::ffff:127(\.\d{1,3}){3})$/i;

/** Whether an address is reached from this machine alone. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host.replace(/^\[(.*)\]$/, '$1'));
}

export interface Access {
  host: string;
  /** Undefined for none. */
  apiKey: string | undefined;
  withoutKey: boolean;
}

/** @throws ConfigError where other machines could ask without a key and nobody has said that they may */
export function checkAccess({ host, apiKey, withoutKey }: Access): void {
  if (apiKey !== undefined && !/^[\x21-\x7e]{8,}$/.test(apiKey)) {
    throw new ConfigError(
      'The key is not one that clients can send and others cannot guess: expected at least 8 visible ASCII characters.',
    );
  }
  if (apiKey !== undefined || withoutKey || isLoopback(host)) return;
  throw new ConfigError(
    `Whoever reaches ${host} could use the model and read personas. Set a key in the environment, listen on 127.0.0.1, ` +
      'or say that no key is wanted (withoutKey, --without-key).',
  );
}

/** Says of a request's headers whether it may go on; throws what it is to be told otherwise. */
export type Guard = (headers: Headers) => void;

/** With a key: requests must bring it. Without one, on a loopback address: they must name this machine. */
export function createGuard(access: Access): Guard {
  const { apiKey } = access;
  if (apiKey !== undefined) return keyGuard(apiKey);
  return isLoopback(access.host) ? hostGuard() : () => undefined;
}

function keyGuard(apiKey: string): Guard {
  const expected = digest(apiKey);
  return (headers) => {
    const given = /^Bearer +(\S+)\s*$/i.exec(headers.get('authorization') ?? '')?.[1];
    // Digests have one length, so that the time of the comparison tells nothing of the key.
    if (given !== undefined && timingSafeEqual(digest(given), expected)) return;
    throw new ApiError(
      401,
      given === undefined ? 'A key is needed: Authorization: Bearer KEY.' : 'The key is not the right one.',
      {
        type: 'authentication_error',
        code: 'invalid_api_key',
        headers: { 'www-authenticate': 'Bearer' },
      },
    );
  };
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

/** A web page can point a name of its own at 127.0.0.1; the browser then sends that name, which is not ours. */
function hostGuard(): Guard {
  return (headers) => {
    const host = (headers.get('host') ?? '').replace(/:\d+$/, '');
    if (isLoopback(host)) return;
    throw new ApiError(403, 'This server is for its own machine: ask it by localhost or its address.', {
      type: 'permission_error',
      code: 'wrong_host',
    });
  };
}

/** An address as it stands in a URL. */
export function urlHost(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host;
}
