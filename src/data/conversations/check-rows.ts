/**
 * Every row is looked at once: whether it is a conversation, what is mended, and what its own content says to the
 * filters of appendix C.1. Only the messages of those that pass are kept; the others leave their place and reason.
 *
 * Mended: blank messages at the end are cut off (an answer that never came), and messages that a user sent one after
 * the other are joined with an empty line between. Everything else that a dialogue can't be is a reason to drop it.
 */
import { TURNS_TYPE } from './conversation-file.js';
import type { Engine } from './engine.js';
import { contentFilter } from './filters.js';
import type { ResolvedIngestOptions } from './options.js';

/** Rows of one file have consecutive places: `file * PLACES_OF_FILE + row`. */
export const PLACES_OF_FILE = 2 ** 40;

/** The columns of the one form in which every source gives its rows, beside `row`. */
export const SOURCE_COLUMNS = {
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
  turns: TURNS_TYPE,
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

/** Makes the table that {@link checkRows} fills. `turns` is there only where neither `problem` nor `filtered` is. */
export async function createRowsTable(engine: Engine): Promise<void> {
  await engine.run(`CREATE TEMP TABLE rows (
    place BIGINT, id VARCHAR, "user" VARCHAR, model VARCHAR, language VARCHAR, time TIMESTAMPTZ, bad_time BOOLEAN,
    toxic BOOLEAN, redacted BOOLEAN, cut BOOLEAN, joined BOOLEAN, problem VARCHAR, detail VARCHAR, filtered VARCHAR,
    turn_count INTEGER, turns ${TURNS_TYPE})`);
}

/** Checks the rows of `source` (a query in the one form) of the file with number `file`. */
export async function checkRows(
  engine: Engine,
  file: number,
  source: string,
  options: ResolvedIngestOptions,
): Promise<void> {
  const turnCount = "len(list_filter(turns, lambda turn: turn.role = 'user'))";
  await engine.run(`
    WITH plain AS NOT MATERIALIZED (
      SELECT *, coalesce(problem IS NULL AND ${isPlain(options.maxMessageBytes)}, false) AS ok FROM (${source})),
    cut AS NOT MATERIALIZED (
      SELECT * REPLACE (CASE WHEN ok OR coalesce(len(turns), 0) = 0 THEN turns ELSE without_blank_end(turns) END AS turns),
        len(turns) AS given_length FROM plain),
    joined AS NOT MATERIALIZED (
      SELECT * REPLACE (CASE WHEN ok OR coalesce(len(turns), 0) = 0 THEN turns ELSE with_user_messages_joined(turns) END AS turns),
        len(turns) AS cut_length FROM cut),
    judged AS NOT MATERIALIZED (
      SELECT *, CASE WHEN ok THEN NULL ELSE ${faultOf(options.maxMessageBytes)} END AS fault FROM joined),
    filtered AS NOT MATERIALIZED (
      SELECT *, CASE WHEN fault IS NULL THEN ${contentFilter(options)} END AS filtered,
        CASE WHEN ok THEN (len(turns) + 1) // 2 WHEN fault IS NULL THEN ${turnCount} END AS turn_count FROM judged)
    INSERT INTO rows BY NAME
    SELECT ${file}::BIGINT * ${PLACES_OF_FILE} + row AS place,
      CASE WHEN id <> '' THEN id WHEN fault IS NULL THEN content_id("user", time, turns) END AS id,
      "user", model, language, time, bad_time, toxic, redacted,
      given_length > cut_length AS cut, cut_length > len(turns) AS joined,
      fault.reason AS problem, fault.words AS detail, filtered, turn_count,
      CASE WHEN fault IS NULL AND filtered IS NULL THEN turns END AS turns
    FROM filtered`);
}

/**
 * Whether messages alternate from a user's on, none too long: most do, and need no closer look. A text that begins
 * with a space or nothing at all sorts before '!'.
 */
function isPlain(limit: number): string {
  return `list_bool_and(list_transform(turns, lambda turn, i: turn.content >= '!' AND strlen(turn.content) <= ${limit}
    AND turn.role = CASE WHEN i & 1 = 1 THEN 'user' ELSE 'assistant' END)) `;
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
