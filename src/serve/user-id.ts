/** Whose words a request holds. */

import { badField } from './api-error.js';
import type { ChatBody } from './chat-request.js';

export const USER_HEADER = 'x-persona-user';

/** Longest name of a user, in characters. */
const MAX_CHARACTERS = 512;

/**
 * Any text will do but an empty one, an endless one, one with control characters or broken surrogates, and dots alone,
 * which addresses cannot hold: nobody could be forgotten by such a name.
 */
export function checkUser(user: string, param: string): string {
  const isPlain = !/[\p{Control}\p{Surrogate}]/u.test(user);
  const isName = user.trim() !== '' && user !== '.' && user !== '..';
  if (isName && user.length <= MAX_CHARACTERS && isPlain) return user;
  throw badField(
    param,
    `${param} must be a text of 1 to ${MAX_CHARACTERS} characters, without control characters, and not . or ..`,
  );
}

/**
 * The user that a request names: in `user`, in `metadata.user`, or in the header `X-Persona-User`. Undefined where it
 * names none, and where `metadata.persona` is `off`.
 *
 * @throws ApiError (400) for a name that cannot be one, and where two places name different users
 */
export function userOf({ user, metadata }: ChatBody, headers: Headers): string | undefined {
  if (metadata.persona === 'off') return undefined;
  const header = headers.get(USER_HEADER);
  const named = [
    { param: 'user', value: user },
    { param: 'metadata.user', value: metadata.user ?? null },
    { param: USER_HEADER, value: header === null ? null : decodedHeader(header) },
  ].filter(({ value }) => value !== null);
  const users = named.map(({ param, value }) => {
    if (typeof value !== 'string') throw badField(param, `${param} must be a text.`);
    return checkUser(value, param);
  });
  if (new Set(users).size > 1) {
    const places = named.map(({ param }) => param).join(' and ');
    throw badField(named[1]!.param, `${places} name different users.`);
  }
  return users[0];
}

/** Headers hold ASCII: other characters come percent-encoded. */
function decodedHeader(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    throw badField(USER_HEADER, `${USER_HEADER} is not percent-encoded as it should be.`);
  }
}
