import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type PreferencePair, pairToRow } from '../../data/pairs.js';
import type { PairCandidate } from '../../pairs/filter/candidate.js';
import {
  candidatesOfRankings,
  candidatesOfRewrites,
  filterOfRankings,
  filterOfRewrites,
  makePairs,
  type PairContexts,
  type PairSources,
} from '../../pairs/filter/make-pairs.js';
import { previewThresholds, type ThresholdPreview } from '../../pairs/filter/preview.js';
import { isRankingSource } from '../../pairs/rank/candidate-of-ranking.js';
import type { PromptRow, RankingRow, RewriteRow } from '../../pairs/rows.js';
import type { StageContext } from '../../pairs/stage.js';
import type { RewardModel } from '../../rewards/reward-model.js';
import type { SectionOptions } from '../config/sections.js';
import { pairsEstimate } from '../estimate.js';
import { RowWriter, readRows } from '../row-files.js';
import { rewriteSchema } from '../row-schemas.js';
import type { RunStage, StageInput, StageResult, StageWork } from '../stage.js';
import { quietStage } from './asking-stage.js';
import { type StageBooks, withBooks } from './books.js';
import { rankingsOf } from './rank-stage.js';
import { rewardedStage } from './rewarded-stage.js';
import { fileOf, type StageSetup, stageFiles } from './setup.js';

/** What each threshold of the filter would keep, beside the pairs. */
export const PREVIEW_FILE = 'thresholds.json';
/** The prompts of rankings that pass the filter: the curated pool. */
export const POOL_FILE = 'pool.jsonl';

/** What pairs of rankings are called in the books, to tell them from those of rewrites. */
export const RANKED_PAIRS = 'pairs by rewards';

/** Previews of each kind of pair that there is. */
export interface PairPreviews {
  rewrites?: ThresholdPreview;
  rankings?: ThresholdPreview;
}

export interface PairInputs {
  rewrites: StageInput | null;
  rankings: StageInput | null;
}

/** Makes preference pairs of rewrites and of rankings, filters them (appendix C.2), and mixes them. */
export function pairsStage(
  setup: StageSetup,
  options: SectionOptions<'pairs'>,
  inputs: PairInputs,
): RunStage {
  const parts = {
    name: 'pairs' as const,
    version: 3,
    options,
    inputs: [inputs.rewrites, inputs.rankings].filter((input) => input !== null),
    run: (work: StageWork, scorer?: RewardModel) => run(work, setup, { options, inputs, scorer }),
  };
  // Rankings bring their rewards.
  const asks = setup.rewards.isConfigured && inputs.rewrites !== null;
  if (!asks) return quietStage({ ...parts, templates: {} });
  return rewardedStage(setup, { ...parts, estimate: pairsEstimate });
}

interface Making {
  options: SectionOptions<'pairs'>;
  inputs: PairInputs;
  scorer: RewardModel | undefined;
}

async function run(
  work: StageWork,
  setup: StageSetup,
  { options, inputs, scorer }: Making,
): Promise<Pick<StageResult, 'outputs' | 'counts' | 'facts'>> {
  const sources = (): PairSources => ({
    ...(inputs.rewrites === null ? {} : { rewrites: rewritesOf(inputs.rewrites, setup, work) }),
    ...(inputs.rankings === null ? {} : { rankings: rankingsOf(inputs.rankings, setup, work) }),
  });
  const scoring = scorer === undefined ? {} : { scorer };
  const facts = new PairFacts();
  const pool = inputs.rankings === null ? null : new RowWriter(join(work.folder, POOL_FILE));
  try {
    const { outputs, counts } = await withBooks(work, async (open) => {
      const onPassed = ({ ranking }: PairCandidate) => {
        if (ranking !== undefined) pool?.write(promptOf(ranking));
      };
      const settings = { ...options, ...scoring, onPassed };
      const pairs = rowsOf(makePairs(sources(), settings, contextsOf(inputs, open.context)));
      await open.write(stageFiles.pairs, pairs, (pair) => facts.add(pair));
    });
    const preview = await previews(sources(), { options, scorer, signal: work.signal });
    writeFileSync(join(work.folder, PREVIEW_FILE), `${JSON.stringify(preview, null, 2)}\n`);
    return {
      outputs: { ...outputs, ...(pool && { [POOL_FILE]: pool.close() }) },
      counts,
      facts: facts.all(),
    };
  } catch (error) {
    pool?.abandon();
    throw error;
  }
}

/** Books for the kinds of pairs that there are. */
function contextsOf({ rewrites, rankings }: PairInputs, open: StageBooks['context']): PairContexts {
  const ofRewrites = rewrites === null ? null : open('pairs');
  const ofRankings = rankings === null ? null : open(RANKED_PAIRS);
  const any = (ofRewrites ?? ofRankings) as StageContext;
  return { rewrites: ofRewrites ?? any, rankings: ofRankings ?? any };
}

/** The pairs with their keys in the order of files. */
async function* rowsOf(
  pairs: ReturnType<typeof makePairs>,
): AsyncGenerator<Pick<PreferencePair, 'user' | 'source'>, void, void> {
  for await (const pair of pairs) yield pairToRow(pair);
}

/** Figures of pairs, as they are made or as they are in a file. */
class PairFacts {
  readonly #users = new Set<string>();
  #rewrites = 0;
  #rewards = 0;

  add({ user, source }: { user?: string | undefined; source?: string | undefined }): void {
    if (user !== undefined) this.#users.add(user);
    if (isRankingSource(source)) this.#rewards++;
    else this.#rewrites++;
  }

  all(): Record<string, number> {
    const [rewrites, rewards] = [this.#rewrites, this.#rewards];
    return { pairs: rewrites + rewards, users: this.#users.size, rewrites, rewards };
  }
}

/** The figures of pairs in a file. */
export async function pairFacts(path: string): Promise<Record<string, number>> {
  const facts = new PairFacts();
  for await (const { user, source } of readRows(path, pairFactsSchema)) facts.add({ user, source });
  return facts.all();
}

const pairFactsSchema = z.looseObject({ user: z.string().optional(), source: z.string().optional() });

function promptOf({ id, user, conversation, turn, time, type, prompt, persona }: RankingRow): PromptRow {
  return {
    ...{ id, user, conversation, turn },
    ...(time === undefined ? {} : { time }),
    ...{ type, prompt },
    ...(persona === undefined ? {} : { persona }),
  };
}

async function previews(
  { rewrites, rankings }: PairSources,
  { options, scorer, signal }: Pick<Making, 'options' | 'scorer'> & { signal: AbortSignal },
): Promise<PairPreviews> {
  const scoring = { signal, ...(scorer === undefined ? {} : { scorer }) };
  const ofRewrites =
    rewrites &&
    (await previewThresholds(candidatesOfRewrites(rewrites), { ...filterOfRewrites(options), ...scoring }));
  const ofRankings =
    rankings &&
    (await previewThresholds(candidatesOfRankings(rankings, options), {
      ...filterOfRankings(options),
      signal,
    }));
  return {
    ...(ofRewrites === undefined ? {} : { rewrites: ofRewrites }),
    ...(ofRankings === undefined ? {} : { rankings: ofRankings }),
  };
}

/** The rewrites of users who were not forgotten. */
export async function* rewritesOf(
  input: StageInput,
  { forgotten }: Pick<StageSetup, 'forgotten'>,
  work: Pick<StageWork, 'expectedRows'>,
): AsyncGenerator<RewriteRow, void, void> {
  const path = await fileOf(input);
  for await (const row of readRows(path, rewriteSchema, { expected: work.expectedRows(path) })) {
    if (!forgotten.has(row.user)) yield row;
  }
}
