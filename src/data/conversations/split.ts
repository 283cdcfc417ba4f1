/**
 * The split by user (section 3.1) and the evaluation pool (section 3.4). A user's side is decided by a hash of seed
 * and user alone, so that no data that are added move anybody to the other side.
 */
import { createHash } from 'node:crypto';
import type { SplitSide } from '../conversation.js';
import { type Engine, sqlText } from './engine.js';
import type { ResolvedIngestOptions } from './options.js';

/** What `splitSide` and the split of `ingestConversations` depend on. */
export interface SplitOptions {
  seed?: number;
  /** Share of the users on the training side, 0 to 1. */
  trainShare?: number;
}

/** The first 48 bits of a hash, as a share of all. */
const HASH_DIGITS = 12;
const HASHES = 2 ** 48;

/** The side of a user: `train` where the first 48 bits of MD5(`seed:user`), as a share of 2^48, are below `trainShare`. */
export function splitSide(user: string, { seed = 0, trainShare = 0.8 }: SplitOptions = {}): SplitSide {
  const digits = createHash('md5').update(`${seed}:${user}`).digest('hex').slice(0, HASH_DIGITS);
  return Number.parseInt(digits, 16) / HASHES < trainShare ? 'train' : 'test';
}

/** The same in the engine, over a column `user`. */
function sideExpression({ seed, trainShare }: ResolvedIngestOptions): string {
  const digits = `md5(${sqlText(`${seed}:`)} || "user")[:${HASH_DIGITS}]`;
  return `CASE WHEN ('0x' || ${digits})::BIGINT / ${HASHES}::DOUBLE < ${trainShare}::DOUBLE THEN 'train' ELSE 'test' END`;
}

/** Earliest first, those without a time before them; without times the order of the source, else that of the ids. */
export const CONVERSATION_ORDER = 'time NULLS FIRST, CASE WHEN time IS NULL THEN place END, id';

/**
 * Makes the table `kept` of what is in `alive` (place, id, user, time): `side`, `held_out` for the last
 * `evaluationHeldOut` conversations of users of the test side with at least `evaluationMinConversations`; and `sides`
 * of its users (user, side, `pooled` for those of the evaluation pool).
 */
export async function splitByUser(engine: Engine, options: ResolvedIngestOptions): Promise<void> {
  const { evaluationMinConversations, evaluationHeldOut } = options;
  await engine.run(`CREATE TEMP TABLE sides AS
    SELECT *, side = 'test' AND conversations >= ${evaluationMinConversations} AS pooled
    FROM (SELECT "user", count(*) AS conversations, ${sideExpression(options)} AS side FROM alive GROUP BY "user")`);
  const descending = 'time DESC NULLS LAST, CASE WHEN time IS NULL THEN place END DESC, id DESC';
  await engine.run(`CREATE TEMP TABLE held_out AS
    SELECT place FROM alive JOIN sides USING ("user") WHERE pooled
    QUALIFY row_number() OVER (PARTITION BY "user" ORDER BY ${descending}) <= ${evaluationHeldOut}`);
  await engine.run(`CREATE TEMP TABLE kept AS
    SELECT place, id, alive."user", time, side, held_out.place IS NOT NULL AS held_out
    FROM alive JOIN sides USING ("user") LEFT JOIN held_out USING (place)`);
}
