/** The forms in which conversations come, as data: the names under which each keeps what we want to know. */

/** What a column of a source may hold. */
export type ConversationColumn =
  | 'id'
  | 'model'
  | 'language'
  | 'time'
  | 'toxic'
  | 'redacted'
  | 'system'
  | 'turns';
/** What a field of a message may hold. */
export type TurnField = 'role' | 'content' | 'turnLanguage' | 'turnTime' | 'turnToxic' | 'turnRedacted';

/** The names of one form; of several the first that is there counts. */
export type FormatColumns = Readonly<Record<ConversationColumn | TurnField, readonly string[]>> & {
  readonly userFields: readonly (readonly string[])[];
};

export const CONVERSATION_FORMATS = ['wildchat', 'messages', 'sharegpt', 'conversation'] as const;
export type ConversationFormat = (typeof CONVERSATION_FORMATS)[number];

const USUAL: FormatColumns = {
  id: ['id', 'conversation_id', 'conversation_hash'],
  model: ['model'],
  language: ['language', 'lang'],
  time: ['time', 'timestamp', 'created_at', 'create_time', 'created', 'date'],
  toxic: ['toxic'],
  redacted: ['redacted'],
  system: ['system'],
  turns: ['messages'],
  role: ['role', 'from'],
  content: ['content', 'value'],
  turnLanguage: ['language'],
  turnTime: ['time', 'timestamp', 'created_at'],
  turnToxic: ['toxic'],
  turnRedacted: ['redacted'],
  userFields: [['user'], ['user_id']],
};

/**
 * - `wildchat`: WildChat-1M as it is published, and its JSON exports
 * - `messages`: rows of chat requests, `messages` with `role` and `content`
 * - `sharegpt`: `conversations` with `from` and `value`
 * - `conversation`: our own `Conversation`, `turns` with `role` and `content`
 */
const FORMATS: Readonly<Record<ConversationFormat, FormatColumns>> = {
  wildchat: {
    ...USUAL,
    id: ['conversation_hash', 'conversation_id', 'id'],
    turns: ['conversation'],
    userFields: [['hashed_ip', 'header.accept-language', 'header.user-agent'], ['user'], ['user_id']],
  },
  messages: USUAL,
  sharegpt: { ...USUAL, turns: ['conversations'], role: ['from', 'role'], content: ['value', 'content'] },
  conversation: { ...USUAL, turns: ['turns'] },
};

/** Names under which messages are looked for, in all forms. */
export const TURN_COLUMNS: readonly string[] = Object.values(FORMATS).flatMap(({ turns }) => turns);

/** Names that people and programs go by in logs, and the role each has; `roles` in the options adds to them. */
export const USUAL_ROLES: Readonly<Record<string, 'system' | 'user' | 'assistant'>> = {
  system: 'system',
  developer: 'system',
  user: 'user',
  human: 'user',
  assistant: 'assistant',
  gpt: 'assistant',
  chatgpt: 'assistant',
  model: 'assistant',
  bot: 'assistant',
};

export interface FormatChoice {
  format: ConversationFormat | 'auto';
  columns: Readonly<Partial<Record<ConversationColumn | TurnField, string | undefined>>>;
  userFields: readonly string[] | null;
}

/** The names for one file, whose columns `has` knows; undefined where there is no list of messages. */
export function columnsFor(
  { format, columns, userFields }: FormatChoice,
  has: (name: string) => boolean,
): FormatColumns | undefined {
  const chosen =
    format !== 'auto' ? format : CONVERSATION_FORMATS.find((name) => FORMATS[name].turns.some(has));
  const base = chosen === undefined ? USUAL : FORMATS[chosen];
  const given = Object.entries(columns).flatMap(([name, column]) =>
    column === undefined ? [] : [[name, [column]] as const],
  );
  const names: FormatColumns = {
    ...base,
    ...Object.fromEntries(given),
    ...(userFields === null ? {} : { userFields: [userFields] }),
  };
  return names.turns.some(has) ? names : undefined;
}

/** The fields that tell users apart: the first group whose first field is there. */
export function userFieldsOf(
  { userFields }: FormatColumns,
  has: (name: string) => boolean,
): readonly string[] {
  return userFields.find(([first]) => first !== undefined && has(first)) ?? [];
}

/** Whether a user's id is to be a hash of the fields: several of them, or something a person can be found by. */
export function isHashed(fields: readonly string[]): boolean {
  return (
    fields.length > 1 || fields.some((field) => /(^|[._-])ip([._-]|$)|address|e-?mail|phone/i.test(field))
  );
}
