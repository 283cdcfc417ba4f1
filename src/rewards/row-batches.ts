/** Rows of token ids in batches: what rows of one request have in common is taken apart, so that it is computed once. */

import { commonLength } from './answer-rows.js';

/** Rows that belong together: the candidates of one request. */
export interface RowGroup {
  /** Which request it is; for the caller. */
  request: number;
  rows: readonly (readonly number[])[];
}

/** Rows that go on from the same tokens. */
export interface SharedRows {
  /** Empty where there is nothing to share. */
  prefix: readonly number[];
  rows: readonly PlacedRow[];
}

export interface PlacedRow {
  request: number;
  /** Place among the request's rows. */
  index: number;
  /** What follows the prefix; at least one token. */
  ids: readonly number[];
}

/** Fewer tokens in common are computed again rather than kept: a run of its own costs more. */
const LEAST_PREFIX = 16;

/** A group's rows with what they have in common taken apart. The same row twice is computed twice. */
export function shareRows({ request, rows }: RowGroup): SharedRows {
  const [first = []] = rows;
  let shared = first.length;
  for (const row of rows) shared = Math.min(shared, commonLength(first, row), row.length - 1);
  const prefix = rows.length < 2 || shared < LEAST_PREFIX ? [] : first.slice(0, shared);
  return { prefix, rows: rows.map((ids, index) => ({ request, index, ids: ids.slice(prefix.length) })) };
}

/** Rows that go through the model together, each with the place of its prefix. */
export interface RowBatch {
  /** All empty, or none. */
  prefixes: readonly (readonly number[])[];
  rows: readonly (PlacedRow & { prefix: number })[];
}

/**
 * Batches of at most `batchTokens` tokens of rows, padding counted, and as many of prefixes; a single row or prefix may be
 * longer. What goes together is of about the same length, so that little is padding. Batches with the same prefixes
 * follow one another: these can be kept from one to the next.
 */
export function planBatches(groups: readonly SharedRows[], batchTokens: number): RowBatch[] {
  const alone = groups.filter(({ prefix }) => prefix.length === 0);
  const sharing = groups.filter(({ prefix }) => prefix.length > 0);
  const rowsAlone = alone.flatMap(({ rows }) => rows.map((row) => ({ ...row, prefix: 0 })));
  return [
    ...batchesBehind([[]], rowsAlone, batchTokens),
    ...byPrefix(sharing, batchTokens).flatMap((together) => {
      const prefixes = together.map(({ prefix }) => prefix);
      const rows = together.flatMap((group, prefix) => group.rows.map((row) => ({ ...row, prefix })));
      return batchesBehind(prefixes, rows, batchTokens);
    }),
  ];
}

/** Tokens of padding that cost less than one more run of the model. */
const CHEAP_PADDING = 256;
/** Of padding beyond that, for one token that counts. */
const MOST_PADDING = 0.15;
/** Keys and values that the rows of a batch look at, in tokens for one of `batchTokens`: what they take is copied. */
const SEEN_TOKENS = 8;

/** Items in order of their length, in parts that are padded to their longest. */
class PaddedPart {
  #count = 0;
  #tokens = 0;

  /** Whether a further item, longer than those before, may be added. */
  takes(length: number, batchTokens: number, seenBefore = 0): boolean {
    if (this.#count === 0) return true;
    const count = this.#count + 1;
    const tokens = this.#tokens + length;
    return (
      count * length <= batchTokens &&
      count * length - tokens <= Math.max(CHEAP_PADDING, MOST_PADDING * tokens) &&
      count * (seenBefore + length) <= SEEN_TOKENS * batchTokens
    );
  }

  add(length: number): void {
    this.#count++;
    this.#tokens += length;
  }
}

function byPrefix(groups: readonly SharedRows[], batchTokens: number): SharedRows[][] {
  const parts: SharedRows[][] = [];
  let part = new PaddedPart();
  for (const group of [...groups].sort((a, b) => a.prefix.length - b.prefix.length)) {
    const { length } = group.prefix;
    const last = parts.at(-1);
    if (last !== undefined && part.takes(length, batchTokens)) last.push(group);
    else {
      parts.push([group]);
      part = new PaddedPart();
    }
    part.add(length);
  }
  return parts;
}

function batchesBehind(
  prefixes: RowBatch['prefixes'],
  rows: readonly RowBatch['rows'][number][],
  batchTokens: number,
): RowBatch[] {
  const batches: { prefixes: RowBatch['prefixes']; rows: RowBatch['rows'][number][] }[] = [];
  const past = longest(prefixes);
  let part = new PaddedPart();
  for (const row of [...rows].sort((a, b) => a.ids.length - b.ids.length)) {
    const { length } = row.ids;
    const last = batches.at(-1);
    if (last !== undefined && part.takes(length, batchTokens, past)) last.rows.push(row);
    else {
      batches.push({ prefixes, rows: [row] });
      part = new PaddedPart();
    }
    part.add(length);
  }
  return batches;
}

export function longest(rows: readonly (readonly number[])[]): number {
  return rows.reduce((most, { length }) => Math.max(most, length), 0);
}
