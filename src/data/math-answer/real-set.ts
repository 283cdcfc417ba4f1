/** Sets of real numbers that are intervals and points. */

/** From `low` to `high`, which may be infinite; a point where they are the same. */
export interface Piece {
  low: number;
  high: number;
  hasLow: boolean;
  hasHigh: boolean;
}

/** Pieces that do not touch, in order. */
export type RealSet = readonly Piece[];

export const ALL_REALS: RealSet = [
  { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY, hasLow: false, hasHigh: false },
];

/** The pieces in order, those that overlap or touch joined, empty ones left out. */
export function unionOf(pieces: readonly Piece[]): RealSet {
  const filled = pieces.filter(
    ({ low, high, hasLow, hasHigh }) => low < high || (low === high && hasLow && hasHigh),
  );
  const sorted = [...filled].sort((a, b) => a.low - b.low || Number(b.hasLow) - Number(a.hasLow));
  const joined: Piece[] = [];
  for (const piece of sorted) {
    const last = joined.at(-1);
    const touches =
      last !== undefined &&
      (piece.low < last.high || (piece.low === last.high && (piece.hasLow || last.hasHigh)));
    if (!touches) joined.push({ ...piece });
    else if (piece.high > last.high) Object.assign(last, { high: piece.high, hasHigh: piece.hasHigh });
    else if (piece.high === last.high) last.hasHigh ||= piece.hasHigh;
  }
  return joined;
}

export function complementOf(set: RealSet): RealSet {
  const gaps: Piece[] = [];
  let low = Number.NEGATIVE_INFINITY;
  let hasLow = false;
  for (const piece of set) {
    gaps.push({ low, high: piece.low, hasLow, hasHigh: !piece.hasLow && Number.isFinite(piece.low) });
    low = piece.high;
    hasLow = !piece.hasHigh && Number.isFinite(low);
  }
  if (low < Number.POSITIVE_INFINITY) {
    gaps.push({ low, high: Number.POSITIVE_INFINITY, hasLow, hasHigh: false });
  }
  return unionOf(gaps);
}

export function intersectionOf(left: RealSet, right: RealSet): RealSet {
  return complementOf(unionOf([...complementOf(left), ...complementOf(right)]));
}

/** Every number as far from 0 on the other side. */
export function mirrored(set: RealSet): RealSet {
  return unionOf(
    set.map(({ low, high, hasLow, hasHigh }) => ({
      low: -high,
      high: -low,
      hasLow: hasHigh,
      hasHigh: hasLow,
    })),
  );
}

/** Whether the sets are the same, ends compared with a relative tolerance. */
export function sameSets(left: RealSet, right: RealSet, tolerance: number): boolean {
  const close = (a: number, b: number) =>
    a === b || (Number.isFinite(a - b) && Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b)));
  return (
    left.length === right.length &&
    left.every((piece, index) => {
      const other = right[index] as Piece;
      return (
        close(piece.low, other.low) &&
        close(piece.high, other.high) &&
        piece.hasLow === other.hasLow &&
        piece.hasHigh === other.hasHigh
      );
    })
  );
}
