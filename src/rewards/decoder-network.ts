/** The graphs that export writes: a context is computed once, and all rows go on from its keys and values. */

import { CheckpointError } from '../errors.js';
import type { HeldOutputs, HeldTensor, OnnxSession, OnnxTensor } from '../runtime/onnx-session.js';
import { checkValues, type ExpectedValue } from './model-inputs.js';
import {
  INPUT_IDS,
  LENGTHS,
  PREFIX_INDEX,
  PREFIX_LENGTHS,
  pastName,
  presentName,
  REWARDS,
} from './model-values.js';
import { int64, paddedIds, type RewardNetwork } from './network.js';
import { longest, type RowBatch } from './row-batches.js';

/** Sizes of the cache of keys and values, which the file tells. */
interface CacheShape {
  layers: number;
  keyValueHeads: number;
  headDim: number;
}

/** Prefixes whose keys and values lie with the session. */
interface KeptPrefixes {
  /** The ids, to know them again. */
  key: string;
  outputs: HeldOutputs;
}

export function decoderNetwork(session: OnnxSession, path: string): RewardNetwork {
  const shape = cacheShape(session, path);
  let kept: KeptPrefixes | undefined;
  const release = () => {
    kept?.outputs.release();
    kept = undefined;
  };
  return {
    sharesPrefixes: true,
    release,
    async run({ prefixes, rows }) {
      let tokens = rows.reduce((sum, { ids }) => sum + ids.length, 0);
      let past = emptyPast(shape);
      const sharing = longest(prefixes) > 0;
      if (sharing) {
        const key = JSON.stringify(prefixes);
        if (kept?.key !== key) {
          release();
          kept = { key, outputs: await computePrefixes(session, shape, prefixes) };
          tokens += prefixes.reduce((sum, { length }) => sum + length, 0);
        }
        past = keptPast(shape, kept.outputs);
      }
      const prefixLengths = prefixes.map(({ length }) => length);
      const { [REWARDS]: rewards } = await session.run(
        {
          ...rowFeeds(
            rows.map(({ ids }) => ids),
            rows.map(({ prefix }) => prefix),
            prefixLengths,
          ),
          ...past,
        },
        [REWARDS],
      );
      return { rewards: (rewards as OnnxTensor).data as Float32Array, tokens };
    },
  };
}

function cacheShape(session: OnnxSession, path: string): CacheShape {
  const { inputs } = session;
  const layers = inputs.filter(({ name }) => /^past_key_values\.\d+\.key$/.test(name)).length;
  const [, keyValueHeads, , headDim] = inputs.find(({ name }) => name === pastName(0, 'key'))?.shape ?? [];
  const ids = (name: string, rank: number): ExpectedValue => ({ name, types: ['int64'], ranks: [rank] });
  const cached = Array.from({ length: Math.max(layers, 1) }, (_, layer) =>
    (['key', 'value'] as const).map((kind) => ({
      name: pastName(layer, kind),
      types: ['float32'],
      ranks: [4],
    })),
  );
  checkValues(
    session,
    {
      inputs: [
        ids(INPUT_IDS, 2),
        ids(LENGTHS, 1),
        ids(PREFIX_LENGTHS, 1),
        ids(PREFIX_INDEX, 1),
        ...cached.flat(),
      ],
      output: { name: REWARDS, types: ['float32'], ranks: [1] },
    },
    path,
  );
  if (typeof keyValueHeads !== 'number' || typeof headDim !== 'number') {
    throw new CheckpointError(
      `${path}: ${pastName(0, 'key')} does not tell its numbers of heads and widths.`,
    );
  }
  return { layers, keyValueHeads, headDim };
}

type Feeds = Record<string, OnnxTensor | HeldTensor>;

function rowFeeds(
  ids: readonly (readonly number[])[],
  prefixIndex: readonly number[],
  prefixLengths: readonly number[],
): Feeds {
  return {
    [INPUT_IDS]: paddedIds(ids, longest(ids)),
    [LENGTHS]: int64(ids.map(({ length }) => length)),
    [PREFIX_LENGTHS]: int64(prefixLengths),
    [PREFIX_INDEX]: int64(prefixIndex),
  };
}

/** The past of rows that begin by themselves: one context of no tokens. */
function emptyPast({ layers, keyValueHeads, headDim }: CacheShape): Feeds {
  const dims = [1, keyValueHeads, 0, headDim];
  return eachCache(layers, (): OnnxTensor => ({ type: 'float32', dims, data: new Float32Array(0) }));
}

function keptPast({ layers }: CacheShape, outputs: HeldOutputs): Feeds {
  return eachCache(layers, (layer, kind) => outputs.tensor(presentName(layer, kind)));
}

function eachCache(
  layers: number,
  feed: (layer: number, kind: 'key' | 'value') => OnnxTensor | HeldTensor,
): Feeds {
  return Object.fromEntries(
    Array.from({ length: layers }, (_, layer) =>
      (['key', 'value'] as const).map((kind) => [pastName(layer, kind), feed(layer, kind)] as const),
    ).flat(),
  );
}

function computePrefixes(
  session: OnnxSession,
  shape: CacheShape,
  prefixes: RowBatch['prefixes'],
): Promise<HeldOutputs> {
  const feeds = rowFeeds(
    prefixes,
    prefixes.map(() => 0),
    [0],
  );
  const outputs = Array.from({ length: shape.layers }, (_, layer) => [
    presentName(layer, 'key'),
    presentName(layer, 'value'),
  ]);
  return session.hold({ ...feeds, ...emptyPast(shape) }, outputs.flat());
}
