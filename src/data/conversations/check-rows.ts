/**
 * Every row is looked at: whether it is a conversation, what is mended, and what its own content says to the filters
 * of appendix C.1. What is kept of it is small: the messages of those that pass all filters are read again (texts.ts),
 * which costs less than keeping those of all that might.
 *
 * Mended: blank messages at the end are cut off (an answer that never came), and messages that a user sent one after
 * the other are joined with an empty line between. Everything else that a dialogue can't be is a reason to drop it.
 */
import type { Engine } from './engine.js';
import { contentFilter, languageUnknown } from './filters.js';
import type { ResolvedIngestOptions } from './options.js';
import {
  MESSAGE,
  type MessageFields,
  PLACES_OF_FILE,
  type RowSource,
  TURN_FIELDS,
  turnsOf,
} from './row-source.js';

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

/** Makes the table that {@link checkRows} fills; `plain` ones need no mending, `bytes` are those of the messages. */
export async function createRowsTable(engine: Engine): Promise<void> {
  await engine.run(`CREATE TEMP TABLE rows (
    place BIGINT, row BIGINT, id VARCHAR, "user" VARCHAR, time TIMESTAMPTZ, bad_time BOOLEAN, plain BOOLEAN,
    cut BOOLEAN, joined BOOLEAN, problem VARCHAR, detail VARCHAR, filtered VARCHAR, language_unknown BOOLEAN,
    turn_count INTEGER, bytes BIGINT)`);
}

/** Checks the rows of `source`, the file with number `file`. */
export async function checkRows(
  engine: Engine,
  file: number,
  { query, message }: RowSource,
  options: ResolvedIngestOptions,
): Promise<void> {
  const turnCount = "len(list_filter(turns, lambda turn: turn.role = 'user'))";
  const bytes = `list_sum(list_transform(raw, lambda ${MESSAGE}: strlen(${message.content})))`;
  const mended = (mend: string) =>
    `CASE WHEN plain OR coalesce(len(turns), 0) = 0 THEN turns ELSE ${mend}(turns) END AS turns`;
  await engine.run(`
    WITH sorted AS NOT MATERIALIZED (
      SELECT *, coalesce(problem IS NULL AND ${isPlain(message, options.maxMessageBytes)}, false) AS plain FROM (${query})),
    sifted AS NOT MATERIALIZED (
      SELECT *, CASE WHEN plain THEN ${contentFilter(options, 'raw', message)} END AS filtered_raw,
        CASE WHEN problem IS NULL AND language IS NULL THEN ${languageUnknown('raw', message)} ELSE false END AS language_unknown,
        len(raw) AS given_length, ${bytes} AS bytes FROM sorted),
    read AS NOT MATERIALIZED (
      SELECT * EXCLUDE (raw), CASE WHEN NOT plain OR coalesce(id, '') = '' THEN ${turnsOf(message)} END AS turns FROM sifted),
    cut AS NOT MATERIALIZED (SELECT * REPLACE (${mended('without_blank_end')}) FROM read),
    joined AS NOT MATERIALIZED (
      SELECT * REPLACE (${mended('with_user_messages_joined')}), len(turns) AS cut_length FROM cut),
    judged AS NOT MATERIALIZED (
      SELECT *, CASE WHEN plain THEN NULL ELSE ${faultOf(options.maxMessageBytes)} END AS fault FROM joined),
    filtered AS NOT MATERIALIZED (
      SELECT *, CASE WHEN plain THEN filtered_raw WHEN fault IS NULL THEN ${contentFilter(options, 'turns', TURN_FIELDS)} END AS filtered,
        CASE WHEN plain THEN (given_length + 1) // 2 WHEN fault IS NULL THEN ${turnCount} END AS turn_count FROM judged)
    INSERT INTO rows BY NAME
    SELECT ${file}::BIGINT * ${PLACES_OF_FILE} + number AS place, row,
      CASE WHEN id <> '' THEN id WHEN fault IS NULL THEN content_id("user", time, turns) END AS id,
      "user", time, bad_time, plain, NOT plain AND given_length > cut_length AS cut,
      NOT plain AND cut_length > len(turns) AS joined, fault.reason AS problem, fault.words AS detail, filtered,
      language_unknown, turn_count, bytes
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
