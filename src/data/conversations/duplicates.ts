/** Conversations that say the same as an earlier one, word for word or nearly; the first one in the input is kept. */
import { createRandom } from '../random.js';
import type { Engine } from './engine.js';
import type { RowSource } from './row-source.js';
import { textsOf } from './texts.js';

const ALIVE = 'SELECT place, plain FROM rows SEMI JOIN alive USING (place)';

/** A query over the places of `alive` whose messages are the same as those of an earlier place. */
export function exactDuplicates(sources: readonly RowSource[]): string {
  return `
    SELECT place FROM (
      SELECT place, min(place) OVER (PARTITION BY digest) AS first
      FROM (SELECT place, md5_number(turns_text(turns)) AS digest FROM (${textsOf(sources, ALIVE)})))
    WHERE place > first`;
}

/** Words in a row that are compared. */
const SHINGLE_WORDS = 3;
/** Words of a conversation that are looked at: enough to tell, and a bound on the work for the longest. */
const MAX_WORDS = 2000;
/** Numbers of a signature, in bands: two conversations are compared where all numbers of one band are equal. */
const BANDS = 16;
const BAND_ROWS = 4;

/**
 * Makes the table `near_duplicates` of the places of `alive` whose user messages are nearly those of an earlier place.
 *
 * MinHash (Broder 1997): of the set of word triples of a conversation's user messages, in lower case, 64 minima of
 * different hashes; the share of equal minima of two conversations estimates the Jaccard similarity of their sets,
 * with a standard error of at most 0.07. Compared are not all pairs, but each conversation with the earliest of each
 * of its 16 buckets (the four minima of one band): the work grows with the number of conversations only, and of pairs
 * as similar as 0.8 fewer than one in a thousand share no bucket. Conversations of fewer words than three are compared
 * whole.
 */
export async function findNearDuplicates(
  engine: Engine,
  sources: readonly RowSource[],
  similarity: number,
): Promise<void> {
  const size = BANDS * BAND_ROWS;
  // The hash nearest to a number drawn at random, by exclusive or, is that of a shingle drawn at random.
  const minima = randomWords(size).map(
    (word) => `list_min(list_transform(shingles, lambda shingle: xor(shingle, ${word}::UBIGINT)))`,
  );
  const triples = `list_zip(${Array.from({ length: SHINGLE_WORDS }, (_, i) => `words[${i + 1}:]`).join(', ')}, true)`;
  await engine.run(`CREATE TEMP TABLE signatures AS
    SELECT place, [${minima.join(', ')}] AS minima
    FROM (
      SELECT place, CASE WHEN len(words) < ${SHINGLE_WORDS} THEN [hash(words)]
        ELSE list_distinct(list_transform(${triples}, lambda triple: hash(triple))) END AS shingles
      FROM (
        SELECT place, string_split(trim(regexp_replace(lower(list_aggregate(list_transform(
            list_filter(turns, lambda turn: turn.role = 'user'), lambda turn: turn.content), 'string_agg', ' ')),
            '[^\\pL\\pN]+', ' ', 'g')), ' ')[:${MAX_WORDS}] AS words
        FROM (${textsOf(sources, ALIVE)})))`);
  await engine.run(`CREATE TEMP TABLE near_duplicates AS
    WITH buckets AS (
      SELECT place, band, hash(minima[band * ${BAND_ROWS} + 1:(band + 1) * ${BAND_ROWS}]) AS bucket
      FROM signatures, range(${BANDS}) AS bands(band)),
    pairs AS (
      SELECT DISTINCT place, first FROM (
        SELECT place, min(place) OVER (PARTITION BY band, bucket) AS first FROM buckets)
      WHERE place > first)
    SELECT DISTINCT pairs.place
    FROM pairs JOIN signatures AS own ON own.place = pairs.place JOIN signatures AS earlier ON earlier.place = pairs.first
    WHERE len(list_filter(range(1, ${size} + 1), lambda i: own.minima[i] = earlier.minima[i])) >= ${similarity} * ${size}`);
  await engine.run('DROP TABLE signatures');
}

function randomWords(count: number): bigint[] {
  const random = createRandom(0);
  return Array.from({ length: count }, () => (BigInt(random.uint32()) << 32n) | BigInt(random.uint32()));
}
