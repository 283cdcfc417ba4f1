/** What the checks are made of, as functions of the engine. Lists and their indices begin at 1 there. */
import type { Engine } from './engine.js';
import { sqlText } from './engine.js';
import { USUAL_ROLES } from './formats.js';
import type { ResolvedIngestOptions } from './options.js';

/** Numbers are seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size. */
const EPOCH = `CASE
  WHEN abs(number) BETWEEN 1e8 AND 1e11 THEN to_timestamp(number)
  WHEN abs(number) BETWEEN 1e11 AND 1e14 THEN to_timestamp(number / 1e3)
  WHEN abs(number) BETWEEN 1e14 AND 1e17 THEN to_timestamp(number / 1e6)
  WHEN abs(number) BETWEEN 1e17 AND 9e18 THEN to_timestamp(number / 1e9)
END`;

/** Hex digits of an id that is a hash of the content. */
const ID_DIGITS = 16;

/** Defines the functions in the engine's connection. */
export async function defineMacros(engine: Engine, options: ResolvedIngestOptions): Promise<void> {
  const roles = { ...USUAL_ROLES, ...options.roles };
  const cases = Object.entries(roles).map(
    ([name, role]) => `WHEN ${sqlText(name.trim().toLowerCase())} THEN ${sqlText(role)}`,
  );
  const macros = [
    `role_of(name) AS CASE WHEN name IN (${ownNames(options.roles)}) THEN name
       ELSE CASE lower(trim(name)) ${cases.join(' ')} ELSE name END END`,
    `epoch_time(number) AS ${EPOCH}`,
    `time_of(words) AS CASE
       WHEN words IS NULL OR regexp_matches(words, '^\\s*[+-]?\\d*\\.?\\d+([eE][+-]?\\d+)?\\s*$')
         THEN epoch_time(try_cast(words AS DOUBLE))
       ELSE coalesce(try_cast(words AS TIMESTAMPTZ), try_strptime(words, '%a, %d %b %Y %H:%M:%S %Z')::TIMESTAMPTZ) END`,
    `is_blank(words) AS words IS NULL OR NOT regexp_matches(words, '[^\\s\\pZ]')`,
    `without_blank_end(turns) AS
       turns[:list_max(list_transform(turns, lambda turn, i: CASE WHEN is_blank(turn.content) THEN 0 ELSE i END))]`,
    `joined_turn(earlier, later) AS {
       'role': 'user', 'content': earlier.content || chr(10) || chr(10) || later.content,
       'language': earlier.language, 'time': earlier.time,
       'toxic': earlier.toxic OR later.toxic, 'redacted': earlier.redacted OR later.redacted}`,
    `with_user_messages_joined(turns) AS list_reduce(
       list_transform(turns, lambda turn: [turn]),
       lambda before, next: CASE WHEN before[-1].role = 'user' AND next[1].role = 'user'
         THEN before[:-2] || [joined_turn(before[-1], next[1])] ELSE before || next END)`,
    `turns_text(turns) AS list_aggregate(
       list_transform(turns, lambda turn: turn.role || chr(31) || turn.content), 'string_agg', chr(30))`,
    `content_id(who, began, turns) AS
       sha256(concat_ws(chr(29), coalesce(who, ''), coalesce(began::VARCHAR, ''), turns_text(turns)))[:${ID_DIGITS}]`,
  ];
  for (const macro of macros) await engine.run(`CREATE TEMP MACRO ${macro}`);
}

/** Names that need no look-up, unless an option gives them another meaning. */
function ownNames(roles: ResolvedIngestOptions['roles']): string {
  const given = Object.keys(roles).map((name) => name.trim().toLowerCase());
  const own = ['user', 'assistant', 'system'].filter((name) => !given.includes(name));
  return own.length === 0 ? 'NULL' : own.map(sqlText).join(', ');
}
