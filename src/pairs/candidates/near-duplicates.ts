/** Texts that say nearly the same as an earlier one: MinHash over word triples, as ingesting does it for conversations. */
import { createRandom } from '../../data/random.js';

/** Words in a row that are compared, and how many words of a text are looked at. */
const SHINGLE_WORDS = 3;
const MAX_WORDS = 2000;
/** Numbers of a signature, in bands: texts are compared where all numbers of one band are equal. */
const BANDS = 16;
const BAND_ROWS = 4;

export interface NearDuplicates {
  /**
   * The name of the earliest text like this one that was put in under another `group`; undefined where there is none.
   * Only such a text is put in itself.
   */
  find(text: string, name: string, group: string): string | undefined;
}

/**
 * Remembers texts by their signature: of the set of word triples, in lower case, 64 minima of different hashes. The
 * share of equal minima of two texts estimates the Jaccard similarity of their sets with a standard error of at most
 * 0.07 (Broder 1997); two texts are alike where it is at least `similarity`. Compared are only texts that share a
 * bucket (the four minima of one of 16 bands): of those as similar as 0.8 fewer than one in a thousand share none.
 */
export function createNearDuplicates(similarity: number): NearDuplicates {
  const buckets = new Map<string, Known[]>();
  return {
    find(text, name, group) {
      const minima = signatureOf(text);
      const keys = Array.from({ length: BANDS }, (_, band) => bucketOf(minima, band));
      for (const key of keys) {
        const like = buckets
          .get(key)
          ?.find((known) => known.group !== group && likeness(known.minima, minima) >= similarity);
        if (like !== undefined) return like.name;
      }
      const known = { name, group, minima };
      for (const key of keys) buckets.set(key, [...(buckets.get(key) ?? []), known]);
      return undefined;
    },
  };
}

interface Known {
  name: string;
  group: string;
  minima: Uint32Array;
}

function bucketOf(minima: Uint32Array, band: number): string {
  return `${band}:${minima.subarray(band * BAND_ROWS, (band + 1) * BAND_ROWS).join()}`;
}

function likeness(a: Uint32Array, b: Uint32Array): number {
  let equal = 0;
  for (let i = 0; i < a.length; i++) if (a[i] === b[i]) equal++;
  return equal / a.length;
}

/** The hash nearest to a number drawn at random, by exclusive or, is that of a shingle drawn at random. */
const NUMBERS = (() => {
  const random = createRandom(0);
  return Uint32Array.from({ length: BANDS * BAND_ROWS }, () => random.uint32());
})();

function signatureOf(text: string): Uint32Array {
  const minima = new Uint32Array(NUMBERS.length).fill(0xffffffff);
  for (const shingle of shinglesOf(text)) {
    const hash = hashOf(shingle);
    for (let i = 0; i < minima.length; i++) {
      const distance = (hash ^ (NUMBERS[i] as number)) >>> 0;
      if (distance < (minima[i] as number)) minima[i] = distance;
    }
  }
  return minima;
}

/** Texts of fewer words than three are compared whole. */
function shinglesOf(text: string): Set<string> {
  const words = (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).slice(0, MAX_WORDS);
  if (words.length < SHINGLE_WORDS) return new Set([words.join(' ')]);
  const shingles = new Set<string>();
  for (let i = 0; i + SHINGLE_WORDS <= words.length; i++) {
    shingles.add(words.slice(i, i + SHINGLE_WORDS).join(' '));
  }
  return shingles;
}

/** FNV-1a over code units, with murmur3's finalizer, so that every bit of it is as good as drawn. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
