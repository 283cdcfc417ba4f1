/** Files of ingesting, written by the engine: conversations in order, and a line for each thing left out. */
import { placeFileAtomic } from '../atomic-write.js';
import { PLACES_OF_FILE } from './check-rows.js';
import { FILE_FORMAT } from './conversation-file.js';
import { type Engine, sqlText } from './engine.js';
import { CONVERSATION_ORDER } from './split.js';

/** Writes what is in `kept`, by user and time; `condition` is on its columns. */
export async function writeKept(engine: Engine, path: string, condition = 'true'): Promise<number> {
  return copyTo(
    engine,
    path,
    `SELECT id, kept."user", side, held_out, model, language, time, toxic, redacted, turns
     FROM rows JOIN kept USING (place) WHERE ${condition} ORDER BY kept."user", ${CONVERSATION_ORDER}`,
    FILE_FORMAT,
  );
}

/** Writes the rows that could not be used: `file`, `row`, `reason`, `detail`, and `id` (or file and row without one). */
export async function writeQuarantine(engine: Engine, path: string): Promise<number> {
  return copyTo(
    engine,
    path,
    `SELECT coalesce(nullif(id, ''), concat(path, ':', row)) AS id, problem AS reason, detail, path AS file, row
     FROM (
       SELECT place, row, id, problem, detail FROM rows WHERE problem IS NOT NULL
       UNION ALL
       SELECT place, row, id, 'duplicate-id', 'an earlier row has the same id' FROM rows SEMI JOIN repeated_ids USING (place))
     JOIN files ON file = place // ${PLACES_OF_FILE} ORDER BY place`,
    'FORMAT json',
  );
}

/** Writes the conversations that a filter dropped: `id`, `reason`, `user`, `file`, `row`. */
export async function writeDropped(engine: Engine, path: string): Promise<number> {
  return copyTo(
    engine,
    path,
    `SELECT id, reason, "user", path AS file, row
     FROM (
       SELECT place, row, id, filtered AS reason, "user" FROM rows ANTI JOIN repeated_ids USING (place)
       WHERE problem IS NULL AND filtered IS NOT NULL
       UNION ALL
       SELECT place, row, id, reason, "user" FROM drops JOIN rows USING (place))
     JOIN files ON file = place // ${PLACES_OF_FILE} ORDER BY place`,
    'FORMAT json',
  );
}

function copyTo(engine: Engine, path: string, query: string, format: string): Promise<number> {
  return placeFileAtomic(path, (temporary) =>
    engine.run(`COPY (${query}) TO ${sqlText(temporary)} (${format})`),
  );
}
