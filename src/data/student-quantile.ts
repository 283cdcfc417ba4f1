/** Student's t distribution. */

import { ConfigError } from '../errors.js';

/**
 * The `t` for which a share `p` of Student's distribution with `degrees` degrees of freedom lies below it: by bisection
 * on its distribution function, which for whole degrees is a finite sum (Abramowitz and Stegun 26.7.3 and 26.7.4).
 *
 * @param p between 0 and 1
 * @param degrees whole number from 1
 * @throws ConfigError where they are not
 */
export function studentQuantile(p: number, degrees: number): number {
  if (!(p > 0 && p < 1)) throw new ConfigError(`Expected a share between 0 and 1, got ${p}.`);
  if (!Number.isInteger(degrees) || degrees < 1) {
    throw new ConfigError(`Expected a whole number of degrees of freedom, got ${degrees}.`);
  }
  if (p < 0.5) return -studentQuantile(1 - p, degrees);
  let [low, high] = [0, 1];
  while (studentBelow(high, degrees) < p) high *= 2;
  for (let step = 0; step < 200 && high - low > 1e-12 * high; step++) {
    const middle = (low + high) / 2;
    if (studentBelow(middle, degrees) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Share of the distribution below `t >= 0`. */
function studentBelow(t: number, degrees: number): number {
  const angle = Math.atan2(t, Math.sqrt(degrees));
  const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
  const isOdd = degrees % 2 === 1;
  let term = isOdd ? cosine : 1;
  let sum = degrees === 1 ? 0 : term;
  for (let k = isOdd ? 3 : 2; k <= degrees - 2; k += 2) {
    term *= ((k - 1) / k) * cosine ** 2;
    sum += term;
  }
  const within = isOdd ? (2 / Math.PI) * (angle + sine * sum) : sine * sum;
  return 0.5 + within / 2;
}
