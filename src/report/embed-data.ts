/**
 * A report's data as it lies in the page: JSON in elements that no browser runs. What everybody sees at once is plain;
 * pairs and what belongs to them are compressed, a block of pairs at a time, and unpacked when they are looked at.
 */

import { gzipSync } from 'node:zlib';
import type { ReportConversation, ReportData, ReportPair, ReportRun, ReportTraining } from './report-data.js';

/** Pairs that are unpacked together. */
export const PAIRS_IN_BLOCK = 200;
/** Characters of a request that the list shows. */
const REQUEST_CHARACTERS = 160;

/** A line of the list of pairs: id, user, source, rewards of chosen and rejected, beginning of the request. */
export type ListedPair = readonly [
  id: string,
  user: string,
  source: string,
  chosen: number | null,
  rejected: number | null,
  request: string,
];

/** What the page knows before anything is unpacked. */
export interface PageData extends Omit<ReportData, 'runs'> {
  runs: PageRun[];
}

export interface PageRun extends Omit<ReportRun, 'pairs' | 'conversations' | 'trainings' | 'personas'> {
  trainings: PageTraining[];
  pairsShown: number;
  pairsInBlock: number;
  /** Ids of the elements that hold what is compressed. */
  list: string;
  personas: string;
  blocks: string[];
}

export interface PageTraining extends Pick<ReportTraining, 'stage' | 'outcome' | 'samples' | 'samplesInAll'> {
  /** The newest value of each metric. */
  last: Record<string, number>;
}

/** Some pairs with the conversations that they come from. */
export interface PairBlock {
  pairs: ReportPair[];
  conversations: Record<string, ReportConversation>;
}

export interface EmbeddedData {
  page: PageData;
  /** Base64 of gzipped JSON, by the id of its element. */
  packed: Record<string, string>;
}

export function embedData({ runs, ...about }: ReportData): EmbeddedData {
  const packed: Record<string, string> = {};
  const put = (id: string, value: unknown) => {
    packed[id] = gzipSync(JSON.stringify(value), { level: 6 }).toString('base64');
    return id;
  };
  return {
    page: {
      ...about,
      runs: runs.map(({ pairs, conversations, trainings, personas, ...run }, index) => ({
        ...run,
        trainings: trainings.map(({ metrics, untrained: _, ...rest }) => ({
          ...rest,
          last: lastOf(metrics),
        })),
        pairsShown: pairs.length,
        pairsInBlock: PAIRS_IN_BLOCK,
        list: put(`run-${index}-list`, pairs.map(listed)),
        personas: put(`run-${index}-personas`, personas),
        blocks: blocksOf(pairs, conversations).map((block, at) => put(`run-${index}-pairs-${at}`, block)),
      })),
    },
    packed,
  };
}

function listed({ id, user = '', source = '', scores, prompt }: ReportPair): ListedPair {
  const request = (prompt.at(-1)?.content ?? '')
    .slice(0, 4 * REQUEST_CHARACTERS)
    .replace(/\s+/g, ' ')
    .trim();
  return [
    id,
    user,
    source,
    scores?.chosen ?? null,
    scores?.rejected ?? null,
    request.slice(0, REQUEST_CHARACTERS),
  ];
}

function blocksOf(
  pairs: readonly ReportPair[],
  conversations: Readonly<Record<string, ReportConversation>>,
): PairBlock[] {
  return Array.from({ length: Math.ceil(pairs.length / PAIRS_IN_BLOCK) }, (_, at) => {
    const some = pairs.slice(at * PAIRS_IN_BLOCK, (at + 1) * PAIRS_IN_BLOCK);
    const ids = new Set(some.flatMap(({ conversation }) => conversation ?? []));
    const own = [...ids].flatMap((id) => {
      const found = Object.hasOwn(conversations, id) ? conversations[id] : undefined;
      return found === undefined ? [] : [[id, found] as const];
    });
    return { pairs: some, conversations: Object.fromEntries(own) };
  });
}

function lastOf(metrics: readonly Record<string, number>[]): Record<string, number> {
  return Object.assign({}, ...metrics) as Record<string, number>;
}

/**
 * JSON that may stand in a `script` element: nothing in it ends the element or begins a comment, whatever the texts
 * say.
 */
export function scriptJson(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll('<', '\\u003c')
    .replaceAll('>', '\\u003e')
    .replaceAll('&', '\\u0026')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029');
}
