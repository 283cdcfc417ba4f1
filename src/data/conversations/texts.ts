/** The messages of conversations that passed, read again from their sources. */
import { PLACES_OF_FILE, type RowSource, turnsOf } from './row-source.js';

/**
 * A query over all sources that gives `model`, `language`, `toxic`, `redacted` and the mended `turns` beside the
 * columns of `keys`, a query that gives `place` and `plain`.
 */
export function textsOf(sources: readonly RowSource[], keys: string): string {
  const queries = sources.map(({ query, message }, file) => {
    const turns = turnsOf(message);
    const ofFile = `SELECT *, place - ${file * PLACES_OF_FILE} AS number FROM (${keys}) WHERE place // ${PLACES_OF_FILE} = ${file}`;
    return `SELECT source.model, source.language, source.toxic, source.redacted, keys.* EXCLUDE (number, plain),
      CASE WHEN plain THEN ${turns} ELSE with_user_messages_joined(without_blank_end(${turns})) END AS turns
      FROM (${query}) AS source JOIN (${ofFile}) AS keys ON source.number = keys.number`;
  });
  return queries.join(' UNION ALL ');
}
