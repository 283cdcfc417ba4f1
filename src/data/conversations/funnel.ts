/** The books of ingesting, step by step: what each step was given, what it let pass, and what it dropped as what. */
import { type Counts, Tally } from '../tally.js';
import { exactDuplicates, findNearDuplicates } from './duplicates.js';
import type { Engine } from './engine.js';
import { contentReasons } from './filters.js';
import type { ResolvedIngestOptions } from './options.js';
import type { RowSource } from './row-source.js';

/** The counts of one step, in the order of the steps. */
export interface FunnelStep {
  /** `read`, the reason of a filter, or `split`. */
  step: string;
  counts: Counts;
}

/** A filter that looks at more than one conversation: a query over the places of `alive` that it drops. */
interface SetFilter {
  reason: string;
  places: string;
  prepare?: (engine: Engine) => Promise<void>;
}

/**
 * Applies everything that takes more than a look at one row, to the table `rows`: ids that were there before, the
 * filters on users, duplicates. Leaves the tables `alive` (what passed: place, id, user, time, turn_count) and `drops`
 * (place, reason) and returns the counts of each step.
 *
 * @param rowCount rows that the readers counted, against which the table is checked
 * @throws PersonaDpoError (`COUNTS`) where rows got lost
 */
export async function applyFilters(
  engine: Engine,
  sources: readonly RowSource[],
  rowCount: number,
  options: ResolvedIngestOptions,
): Promise<FunnelStep[]> {
  await markRepeatedIds(engine);
  const steps = [await readStep(engine, rowCount)];
  steps.push(...(await contentSteps(engine, steps[0]?.counts.out ?? 0, options)));
  const who = options.missingUser === 'separate' ? 'coalesce("user", id) AS "user"' : '"user"';
  await engine.run(`CREATE TEMP TABLE alive AS
    SELECT place, id, ${who}, time, turn_count FROM rows ANTI JOIN repeated_ids USING (place)
    WHERE problem IS NULL AND filtered IS NULL`);
  await engine.run('CREATE TEMP TABLE drops (place BIGINT, reason VARCHAR)');
  for (const filter of setFilters(sources, options)) {
    const before = steps.at(-1)?.counts.out ?? 0;
    steps.push({ step: filter.reason, counts: await applySetFilter(engine, before, filter) });
  }
  return steps;
}

/** The first usable row of an id is the one that is kept. */
async function markRepeatedIds(engine: Engine): Promise<void> {
  await engine.run(`CREATE TEMP TABLE repeated_ids AS
    SELECT place FROM rows SEMI JOIN (SELECT id FROM rows WHERE problem IS NULL GROUP BY id HAVING count(*) > 1) USING (id)
    WHERE problem IS NULL QUALIFY row_number() OVER (PARTITION BY id ORDER BY place) > 1`);
}

async function readStep(engine: Engine, rowCount: number): Promise<FunnelStep> {
  const tally = new Tally('rows');
  tally.enter(rowCount);
  const [found] = await engine.all<Record<'usable' | 'badTime' | 'cut' | 'joined', bigint>>(`
    SELECT count(*) AS usable, count_if(bad_time) AS "badTime", count_if(cut) AS cut, count_if(joined) AS joined
    FROM rows ANTI JOIN repeated_ids USING (place) WHERE problem IS NULL`);
  const number = (value: bigint | undefined) => Number(value ?? 0);
  tally.leave(number(found?.usable));
  const reasons = await countBy(engine, 'SELECT problem AS reason FROM rows WHERE problem IS NOT NULL');
  for (const [reason, count] of reasons) tally.addDropped(reason, count);
  const repeated = await countOf(engine, 'repeated_ids');
  if (repeated > 0) tally.addDropped('duplicate-id', repeated);
  const notes = {
    'unreadable-time': found?.badTime,
    'blank-end-cut': found?.cut,
    'user-messages-joined': found?.joined,
  };
  for (const [name, count] of Object.entries(notes)) if (number(count) > 0) tally.note(name, number(count));
  return { step: 'read', counts: tally.counts() };
}

async function contentSteps(
  engine: Engine,
  usable: number,
  options: ResolvedIngestOptions,
): Promise<FunnelStep[]> {
  const dropped = await countBy(
    engine,
    'SELECT filtered AS reason FROM rows ANTI JOIN repeated_ids USING (place) WHERE problem IS NULL AND filtered IS NOT NULL',
  );
  let left = usable;
  const steps: FunnelStep[] = [];
  for (const reason of contentReasons(options)) {
    const tally = new Tally('conversations');
    const count = dropped.get(reason) ?? 0;
    tally.enter(left);
    if (count > 0) tally.addDropped(reason, count);
    left -= count;
    tally.leave(left);
    if (reason === 'other-language') await noteUnknownLanguage(engine, tally);
    steps.push({ step: reason, counts: tally.counts() });
  }
  return steps;
}

/** Nothing is known of these, so that they are kept; somebody should know how many they are. */
async function noteUnknownLanguage(engine: Engine, tally: Tally): Promise<void> {
  const [found] = await engine.all<{ count: bigint }>(`SELECT count(*) AS count
    FROM rows ANTI JOIN repeated_ids USING (place)
    WHERE problem IS NULL AND coalesce(filtered, '') <> 'other-language' AND language_unknown`);
  if ((found?.count ?? 0n) > 0n) tally.note('language-unknown', Number(found?.count));
}

/** Duplicates go before users are counted; the order of the others is the paper's. */
function setFilters(sources: readonly RowSource[], options: ResolvedIngestOptions): SetFilter[] {
  const { minConversations, maxConversations, maxTurns, nearDuplicateSimilarity } = options;
  const ofUsers = (condition: string) =>
    `SELECT place FROM alive SEMI JOIN (SELECT "user" FROM alive GROUP BY "user" HAVING ${condition}) USING ("user")`;
  return [
    ...(options.dropDuplicates ? [{ reason: 'duplicate', places: exactDuplicates(sources) }] : []),
    ...(options.dropNearDuplicates
      ? [
          {
            reason: 'near-duplicate',
            prepare: (engine: Engine) => findNearDuplicates(engine, sources, nearDuplicateSimilarity),
            places: 'SELECT place FROM near_duplicates',
          },
        ]
      : []),
    { reason: 'no-user', places: 'SELECT place FROM alive WHERE "user" IS NULL' },
    ...(minConversations === null
      ? []
      : [{ reason: 'too-few-conversations', places: ofUsers(`count(*) < ${minConversations}`) }]),
    ...(maxConversations === null
      ? []
      : [{ reason: 'too-many-conversations', places: ofUsers(`count(*) > ${maxConversations}`) }]),
    ...(maxTurns === null
      ? []
      : [{ reason: 'too-many-turns', places: `SELECT place FROM alive WHERE turn_count > ${maxTurns}` }]),
  ];
}

async function applySetFilter(engine: Engine, before: number, filter: SetFilter): Promise<Counts> {
  const tally = new Tally('conversations');
  tally.enter(before);
  await filter.prepare?.(engine);
  const dropped = await engine.run(
    `INSERT INTO drops SELECT place, '${filter.reason}' FROM (${filter.places})`,
  );
  if (dropped > 0) {
    tally.addDropped(filter.reason, dropped);
    await engine.run(
      'CREATE OR REPLACE TEMP TABLE alive AS SELECT alive.* FROM alive ANTI JOIN drops USING (place)',
    );
  }
  tally.leave(await countOf(engine, 'alive'));
  return tally.counts();
}

async function countBy(engine: Engine, query: string): Promise<Map<string, number>> {
  const rows = await engine.all<{ reason: string; count: bigint }>(
    `SELECT reason, count(*) AS count FROM (${query}) GROUP BY reason ORDER BY count DESC, reason`,
  );
  return new Map(rows.map(({ reason, count }) => [reason, Number(count)]));
}

/** Rows of a table. */
export async function countOf(engine: Engine, table: string): Promise<number> {
  const [row] = await engine.all<{ count: bigint }>(`SELECT count(*) AS count FROM ${table}`);
  return Number(row?.count ?? 0);
}
