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
 * longer. Rows of about the same length go together, and those without a prefix among themselves. Rows of one prefix
 * follow one another, though perhaps in several batches.
 */
export function planBatches(groups: readonly SharedRows[], batchTokens: number): RowBatch[] {
  const alone = groups.filter(({ prefix }) => prefix.length === 0).flatMap(({ rows }) => rows);
  const sharing = groups.filter(({ prefix }) => prefix.length > 0);
  return [...plainBatches(alone, batchTokens), ...prefixBatches(sharing, batchTokens)];
}

function plainBatches(rows: readonly PlacedRow[], batchTokens: number): RowBatch[] {
  const batches: RowBatch[] = [];
  for (const part of byLength(rows, batchTokens)) {
    batches.push({ prefixes: [[]], rows: part.map((row) => ({ ...row, prefix: 0 })) });
  }
  return batches;
}

/** Groups of short rows go together as long as they fit; a group that does not fit by itself is cut. */
function prefixBatches(groups: readonly SharedRows[], batchTokens: number): RowBatch[] {
  const batches: RowBatch[] = [];
  let open: SharedRows[] = [];
  const close = () => {
    if (open.length > 0) batches.push(together(open));
    open = [];
  };
  const sorted = [...groups].sort((a, b) => a.prefix.length - b.prefix.length);
  for (const group of sorted) {
    if (paddedTokens([group]) > batchTokens) {
      close();
      for (const rows of byLength(group.rows, batchTokens)) batches.push(together([{ ...group, rows }]));
      continue;
    }
    const more = [...open, group];
    if (paddedTokens(more) > batchTokens || paddedPrefixes(more) > batchTokens) close();
    open.push(group);
  }
  close();
  return batches;
}

function together(groups: readonly SharedRows[]): RowBatch {
  return {
    prefixes: groups.map(({ prefix }) => prefix),
    rows: groups.flatMap(({ rows }, prefix) => rows.map((row) => ({ ...row, prefix }))),
  };
}

function paddedTokens(groups: readonly SharedRows[]): number {
  const rows = groups.flatMap((group) => group.rows);
  return rows.length * longest(rows.map(({ ids }) => ids));
}

function paddedPrefixes(groups: readonly SharedRows[]): number {
  return groups.length * longest(groups.map(({ prefix }) => prefix));
}

/** Rows sorted by length, in parts of at most `batchTokens` padded tokens. */
function* byLength(rows: readonly PlacedRow[], batchTokens: number): Generator<PlacedRow[], void, void> {
  const sorted = [...rows].sort((a, b) => a.ids.length - b.ids.length);
  let part: PlacedRow[] = [];
  for (const row of sorted) {
    if (part.length > 0 && (part.length + 1) * row.ids.length > batchTokens) {
      yield part;
      part = [];
    }
    part.push(row);
  }
  if (part.length > 0) yield part;
}

export function longest(rows: readonly (readonly number[])[]): number {
  return rows.reduce((most, { length }) => Math.max(most, length), 0);
}
