/** How many users want what (Table 1). */

import type { Interval } from '../statistics/interval.js';
import { wilsonInterval } from '../statistics/wilson.js';
import {
  type PersonaWishes,
  PREFERENCE_DIMENSIONS,
  type PreferenceDimension,
  WISHES,
  type Wish,
} from './preference-dimensions.js';

export interface DimensionShares {
  dimension: PreferenceDimension;
  /** Users on whom there was a verdict; shares are of these. */
  users: number;
  /** Users on whom there was none. */
  unjudged: number;
  /** 95 % intervals (Wilson). */
  shares: Record<Wish, Interval>;
}

/** The shares of each dimension; as in Table 1 those of both wishes and of no clear one add up to 1. */
export function dimensionShares(found: readonly PersonaWishes[]): DimensionShares[] {
  return PREFERENCE_DIMENSIONS.map((dimension) => {
    const wishes = found.flatMap((each) => each.wishes[dimension.name] ?? []);
    const share = (wish: Wish) =>
      wilsonInterval(wishes.filter((each) => each === wish).length, wishes.length);
    const shares = Object.fromEntries(WISHES.map((wish) => [wish, share(wish)])) as Record<Wish, Interval>;
    return { dimension, users: wishes.length, unjudged: found.length - wishes.length, shares };
  });
}
