/** How the engine reaches what a message holds, whatever its source calls it. */

/** A message within a list, under a name that no column has: WildChat has one named `turn`. */
export const MESSAGE = 'message_of_list';

/** Expressions of {@link MESSAGE}; a typed NULL where the source has no such field. */
export interface MessageFields {
  role: string;
  content: string;
  language: string;
  time: string;
  toxic: string;
  redacted: string;
}

/** Of messages in our own form. */
export const TURN_FIELDS: MessageFields = {
  role: `${MESSAGE}.role`,
  content: `${MESSAGE}.content`,
  language: `${MESSAGE}.language`,
  time: `${MESSAGE}.time`,
  toxic: `${MESSAGE}.toxic`,
  redacted: `${MESSAGE}.redacted`,
};
