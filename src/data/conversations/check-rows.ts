/**
 * Every row is looked at once: whether it is a conversation, what is mended, and what its own content says to the
 * filters of appendix C.1. Only the messages of those that pass are kept; the others leave their place and reason.
 *
 * Mended: blank messages at the end are cut off (an answer that never came), and messages that a user sent one after
 * the other are joined with an empty line between. Everything else that a dialogue can't be is a reason to drop it.
 */
import { TURNS_TYPE } from './conversation-file.js';
import type { Engine } from './engine.js';
import { contentFilter, languageUnknown } from './filters.js';
import { MESSAGE, type MessageFields, TURN_FIELDS } from './message-fields.js';
import type { ResolvedIngestOptions } from './options.js';

/** Rows have places in the order in which they are read: `file * PLACES_OF_FILE + number`. */
export const PLACES_OF_FILE = 2 ** 40;

/** Rows of one file in the one form that all checks take. */
export interface RowSource {
  /** Gives `number` and `row` (the row's and its line's number, from 1), {@link ROW_COLUMNS}, and `raw`, the list of messages as the file has them. */
  query: string;
  /** What a message of `raw` holds, as expressions of {@link MESSAGE}. */
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

interface Fault {
  reason: string;
  /** A list with true for each message that is at fault. */
  marks: string;
  /** What is said of the first one, whose number is `at`. */
  words: (at: string) => string;
}

const each = (condition: string) => `list_transform(turns, lambda turn, i: ${condition})`;

/** What makes a row unusable, beside what its source says of it; the first that applies counts. */
const faults = (limit: number): readonly Fault[] => [
  {
    reason: 'unknown-role',
    marks: each("coalesce(turn.role, '') NOT IN ('system', 'user', 'assistant')"),
    words: (at) => `concat('message ', ${at}, ' is by "', turns[${at}].role[:40], '"')`,
  },
  {
    reason: 'message-too-long',
    marks: each(`coalesce(strlen(turn.content), 0) > ${limit}`),
    words: (at) =>
      `concat('message ', ${at}, ' has ', strlen(turns[${at}].content), ' bytes, the limit is ${limit}')`,
  },
  {
    reason: 'empty-message',
    marks: each('is_blank(turn.content)'),
    words: (at) => `concat('message ', ${at}, ' holds no text')`,
  },
  {
    reason: 'no-user-message',
    marks: "[len(list_filter(turns, lambda turn: turn.role = 'user')) = 0]",
    words: () => "'nobody asks anything'",
  },
  {
    reason: 'system-message-within',
    marks: each("turn.role = 'system' AND i > 1 AND turns[i - 1].role <> 'system'"),
    words: (at) => `concat('message ', ${at}, ' is a system message; those stand at the beginning')`,
  },
  {
    reason: 'assistant-first',
    marks: each("turn.role = 'assistant' AND (i = 1 OR turns[i - 1].role = 'system')"),
    words: (at) => `concat('message ', ${at}, ' is an answer to nothing')`,
  },
  {
    reason: 'two-assistant-turns',
    marks: each("turn.role = 'assistant' AND i > 1 AND turns[i - 1].role = 'assistant'"),
    words: (at) => `concat('messages ', ${at} - 1, ' and ', ${at}, ' are both by the assistant')`,
  },
];

/** Makes the table that {@link checkRows} fills. `turns` is there only where they may be needed. */
export async function createRowsTable(engine: Engine): Promise<void> {
  await engine.run(`CREATE TEMP TABLE rows (
    place BIGINT, row BIGINT, id VARCHAR, "user" VARCHAR, model VARCHAR, language VARCHAR, time TIMESTAMPTZ, bad_time BOOLEAN,
    toxic BOOLEAN, redacted BOOLEAN, cut BOOLEAN, joined BOOLEAN, problem VARCHAR, detail VARCHAR, filtered VARCHAR,
    language_unknown BOOLEAN, turn_count INTEGER, turns ${TURNS_TYPE})`);
}

/** Checks the rows of `source`, the file with number `file`. */
export async function checkRows(
  engine: Engine,
  file: number,
  { query, message }: RowSource,
  options: ResolvedIngestOptions,
): Promise<void> {
  const turnCount = "len(list_filter(turns, lambda turn: turn.role = 'user'))";
  const mended = (mend: string) =>
    `CASE WHEN ok OR coalesce(len(turns), 0) = 0 THEN turns ELSE ${mend}(turns) END AS turns`;
  await engine.run(`
    WITH plain AS NOT MATERIALIZED (
      SELECT *, coalesce(problem IS NULL AND ${isPlain(message, options.maxMessageBytes)}, false) AS ok FROM (${query})),
    sifted AS NOT MATERIALIZED (
      SELECT *, CASE WHEN ok THEN ${contentFilter(options, 'raw', message)} END AS filtered_raw,
        CASE WHEN problem IS NULL AND language IS NULL THEN ${languageUnknown('raw', message)} ELSE false END AS language_unknown,
        len(raw) AS given_length FROM plain),
    weighed AS NOT MATERIALIZED (
      SELECT *, filtered_raw IS NULL AND ${isLookedAt(options)} AS wanted FROM sifted),
    read AS NOT MATERIALIZED (
      SELECT * EXCLUDE (raw), CASE WHEN NOT ok OR wanted OR coalesce(id, '') = '' THEN ${turnsOf(message)} END AS turns
      FROM weighed),
    cut AS NOT MATERIALIZED (SELECT * REPLACE (${mended('without_blank_end')}) FROM read),
    joined AS NOT MATERIALIZED (
      SELECT * REPLACE (${mended('with_user_messages_joined')}), len(turns) AS cut_length FROM cut),
    judged AS NOT MATERIALIZED (
      SELECT *, CASE WHEN ok THEN NULL ELSE ${faultOf(options.maxMessageBytes)} END AS fault FROM joined),
    filtered AS NOT MATERIALIZED (
      SELECT *, CASE WHEN ok THEN filtered_raw WHEN fault IS NULL THEN ${contentFilter(options, 'turns', TURN_FIELDS)} END AS filtered,
        CASE WHEN ok THEN (given_length + 1) // 2 WHEN fault IS NULL THEN ${turnCount} END AS turn_count FROM judged)
    INSERT INTO rows BY NAME
    SELECT ${file}::BIGINT * ${PLACES_OF_FILE} + number AS place, row,
      CASE WHEN id <> '' THEN id WHEN fault IS NULL THEN content_id("user", time, turns) END AS id,
      "user", model, language, time, bad_time, toxic, redacted,
      NOT ok AND given_length > cut_length AS cut, NOT ok AND cut_length > len(turns) AS joined,
      fault.reason AS problem, fault.words AS detail, filtered, language_unknown, turn_count,
      CASE WHEN CASE WHEN ok THEN wanted ELSE fault IS NULL AND filtered IS NULL END THEN turns END AS turns
    FROM filtered`);
}

/**
 * Whether messages alternate from a user's on, none too long: most do, and need no closer look. A text that begins
 * with a space or nothing at all sorts before '!'.
 */
function isPlain({ role, content }: MessageFields, limit: number): string {
  return `list_bool_and(list_transform(raw, lambda ${MESSAGE}, i: coalesce(${content} >= '!'
    AND strlen(${content}) <= ${limit} AND ${role} = CASE WHEN i & 1 = 1 THEN 'user' ELSE 'assistant' END, false)))`;
}

/** Texts that no later step looks at are not kept: of conversations that will be dropped for their length. */
function isLookedAt({ maxTurns, dropDuplicates, dropNearDuplicates }: ResolvedIngestOptions): string {
  return maxTurns === null || dropDuplicates || dropNearDuplicates
    ? 'true'
    : `(given_length + 1) // 2 <= ${maxTurns}`;
}

function turnsOf(message: MessageFields): string {
  const { role, content, language, time, toxic, redacted } = message;
  return `list_transform(raw, lambda ${MESSAGE}: {'role': role_of(${role}), 'content': ${content},
    'language': ${language}, 'time': ${time}, 'toxic': ${toxic}, 'redacted': ${redacted}})`;
}

function faultOf(limit: number): string {
  const fault = (condition: string, reason: string, words: string) =>
    `WHEN ${condition} THEN {'reason': ${reason}, 'words': ${words}}`;
  const cases = [
    fault('problem IS NOT NULL', 'problem', 'detail'),
    fault('coalesce(len(turns), 0) = 0', "'empty-conversation'", "'it has no messages, or none with text'"),
    ...faults(limit).map(({ reason, marks, words }) =>
      fault(`list_contains(${marks}, true)`, `'${reason}'`, words(`list_position(${marks}, true)`)),
    ),
  ];
  return `CASE ${cases.join(' ')} END`;
}
