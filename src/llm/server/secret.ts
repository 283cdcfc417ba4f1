/** Keeps a key out of everything that is said about a request. */
import { ConfigError } from '../../errors.js';

export interface Secret {
  readonly key: string | undefined;
  /** The text without the key, should it hold it. */
  hide(text: string): string;
}

/** Shorter keys are no secrets (`x` for a server that wants none) but may be part of any word. */
const SHORTEST = 4;

/** @throws ConfigError, which does not show it, for a key that no HTTP header can carry */
export function createSecret(apiKey: string | undefined, variable: string): Secret {
  const key = apiKey?.trim();
  if (key === undefined || key === '') return { key: undefined, hide: (text) => text };
  if (!/^[\x21-\x7e]+$/.test(key)) {
    throw new ConfigError(
      `The key in ${variable} cannot be sent: it holds spaces, line breaks or other characters that a key does not have.`,
    );
  }
  const forms = [...new Set([key, JSON.stringify(key).slice(1, -1), encodeURIComponent(key)])];
  const hide = (text: string) => forms.reduce((clean, form) => clean.replaceAll(form, '[key]'), text);
  // A property that shows neither in JSON nor in what the console prints of an object.
  const secret = { hide: key.length < SHORTEST ? (text: string) => text : hide };
  return Object.defineProperty(secret, 'key', { value: key, enumerable: false }) as Secret;
}
