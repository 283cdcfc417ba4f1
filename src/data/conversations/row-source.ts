/** The one form in which every source gives its rows to the engine, and how the engine reaches what they hold. */

/** Rows have places in the order in which they are read: `file * PLACES_OF_FILE + number`. */
export const PLACES_OF_FILE = 2 ** 40;

/** Rows of one file, as often as they are asked for. */
export interface RowSource {
  /** Gives `number` and `row` (the row's and its line's number, from 1), {@link ROW_COLUMNS}, and `raw`, the messages. */
  query: string;
  /** What a message of `raw` holds. */
  message: MessageFields;
}

/** What a row holds beside its messages; `problem` and `detail` where the reader found it unusable. */
export const ROW_COLUMNS = {
  problem: 'VARCHAR',
  detail: 'VARCHAR',
  id: 'VARCHAR',
  user: 'VARCHAR',
  model: 'VARCHAR',
  language: 'VARCHAR',
  time: 'TIMESTAMPTZ',
  bad_time: 'BOOLEAN',
  toxic: 'BOOLEAN',
  redacted: 'BOOLEAN',
} as const;

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

/** The messages of `list` in our own form. */
export function turnsOf(message: MessageFields, list = 'raw'): string {
  const { role, content, language, time, toxic, redacted } = message;
  return `list_transform(${list}, lambda ${MESSAGE}: {'role': role_of(${role}), 'content': ${content},
    'language': ${language}, 'time': ${time}, 'toxic': ${toxic}, 'redacted': ${redacted}})`;
}
