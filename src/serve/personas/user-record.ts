/** What the server keeps of one user. */

import { z } from 'zod';

const messageSchema = z.object({
  text: z.string(),
  /** Whether it began a conversation. */
  initial: z.boolean(),
});

const knownSchema = z.object({
  version: z.literal(1),
  user: z.string(),
  /** Null where nothing is known yet. */
  persona: z.string().nullable(),
  /** When the persona was made or brought up to date: ISO 8601, UTC; null for one that was given, and for none. */
  updated: z.string().nullable(),
  /** The user's messages that are not in the persona yet, from the oldest to the newest. */
  pending: z.array(messageSchema),
  /** The persona is brought up to date once so many are pending. */
  updateAt: z.number().int().min(1),
  /** Whether the given history has been looked through for this user. */
  historyRead: z.boolean(),
  /** Whether the user was forgotten once: what was given of the user is not used any more. */
  ignoreGiven: z.boolean(),
});

/** A user who was forgotten and has not come back: no name, and nothing that was given of the user is used again. */
const forgottenSchema = z.object({ version: z.literal(1), forgotten: z.literal(true) });

export const userRecordSchema = z.union([forgottenSchema, knownSchema]);

export type ForgottenUser = z.output<typeof forgottenSchema>;
export type KnownUser = z.output<typeof knownSchema>;
export type PendingMessage = z.output<typeof messageSchema>;
export type UserRecord = z.output<typeof userRecordSchema>;

export function isForgotten(record: UserRecord | undefined): record is ForgottenUser {
  return record !== undefined && 'forgotten' in record;
}

export function newUser(user: string, updateAt: number): KnownUser {
  const nothing = { persona: null, updated: null, pending: [], historyRead: false, ignoreGiven: false };
  return { version: 1, user, updateAt, ...nothing };
}
