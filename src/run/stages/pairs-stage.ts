import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pairToRow } from '../../data/pairs.js';
import { candidateOfRewrite, type PairCandidate } from '../../pairs/filter/candidate.js';
import { pairsFromRewrites } from '../../pairs/filter/pairs-from-rewrites.js';
import { previewThresholds } from '../../pairs/filter/preview.js';
import type { RewriteRow } from '../../pairs/rows.js';
import type { SectionOptions } from '../config/sections.js';
import { readRows } from '../row-files.js';
import { rewriteSchema } from '../row-schemas.js';
import type { RunStage, StageInput, StageWork } from '../stage.js';
import { quietStage } from './asking-stage.js';
import { withBooks } from './books.js';
import { fileOf, type StageSetup, stageFiles } from './setup.js';

/** What each threshold of the filter would keep, beside the pairs. */
export const PREVIEW_FILE = 'thresholds.json';

/** Makes preference pairs of rewrites, and filters them (appendix C.2). */
export function pairsStage(
  setup: StageSetup,
  options: SectionOptions<'pairs'>,
  rewrites: StageInput,
): RunStage {
  return quietStage({
    name: 'pairs',
    version: 2,
    options,
    templates: {},
    inputs: [rewrites],
    async run(work) {
      const users = new Set<string>();
      const { outputs, counts } = await withBooks(work, async (open) => {
        const source = rewritesOf(rewrites, setup, work);
        const pairs = pairsFromRewrites(source, options, open.context('pairs'));
        await open.write(stageFiles.pairs, asRows(pairs, users));
      });
      const { persona: _, users: _users, size: _size, seed: _seed, order: _order, ...filter } = options;
      const preview = await previewThresholds(candidates(rewritesOf(rewrites, setup, work)), {
        ...filter,
        signal: work.signal,
      });
      writeFileSync(join(work.folder, PREVIEW_FILE), `${JSON.stringify(preview, null, 2)}\n`);
      return {
        outputs,
        counts,
        facts: { pairs: outputs[stageFiles.pairs]?.rows ?? 0, users: users.size },
      };
    },
  });
}

async function* asRows(
  pairs: ReturnType<typeof pairsFromRewrites>,
  users: Set<string>,
): AsyncGenerator<Record<string, unknown>, void, void> {
  for await (const pair of pairs) {
    if (pair.user !== undefined) users.add(pair.user);
    yield pairToRow(pair);
  }
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

async function* candidates(rows: AsyncIterable<RewriteRow>): AsyncGenerator<PairCandidate, void, void> {
  for await (const row of rows) yield candidateOfRewrite(row);
}
