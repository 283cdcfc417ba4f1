import { join } from 'node:path';
import { writeFileAtomic } from '../../data/atomic-write.js';
import { rankCandidates } from '../../pairs/rank/rank-candidates.js';
import type { CandidatesRow, RankingRow } from '../../pairs/rows.js';
import type { SectionOptions } from '../config/sections.js';
import { rankEstimate } from '../estimate.js';
import { describeBestDiffers, type RankingReport, rankingReport } from '../ranking-report.js';
import { readRows } from '../row-files.js';
import { candidatesSchema, rankingSchema } from '../row-schemas.js';
import type { RunStage, StageInput, StageWork } from '../stage.js';
import { withBooks } from './books.js';
import { rewardedStage } from './rewarded-stage.js';
import { fileOf, type StageSetup, stageFiles } from './setup.js';

/** How the persona changes the ranking, beside the rankings; there where both kinds of rewards were asked for. */
export const RANKING_REPORT_FILE = 'ranking.json';

/** Asks for the rewards of all candidates. */
export function rankStage(
  setup: StageSetup,
  options: SectionOptions<'rank'>,
  candidates: StageInput,
): RunStage {
  return rewardedStage(setup, {
    name: 'rank',
    version: 1,
    options,
    inputs: [candidates],
    estimate: (facts) => rankEstimate(facts, options, setup.config.sections),
    async run(work, scorer) {
      const promptCount = work.expectedRows(await fileOf(candidates)) ?? 0;
      const { outputs, counts } = await withBooks(work, async (open) => {
        const rows = candidateRows(candidates, setup, work);
        const settings = { ...options, scorer, promptCount };
        await open.write(stageFiles.rank, rankCandidates(rows, settings, open.context('prompts')));
      });
      if (options.compare) {
        const { prompts, bestDiffers } = await writeRankingReport(work.folder);
        if (prompts > 0) work.onNotice(`${describeBestDiffers(bestDiffers)} (of ${prompts} prompts)`);
      }
      return { outputs, counts, facts: { prompts: outputs[stageFiles.rank]?.rows ?? 0 } };
    },
  });
}

async function* candidateRows(
  input: StageInput,
  { forgotten }: StageSetup,
  work: StageWork,
): AsyncGenerator<CandidatesRow, void, void> {
  const path = await fileOf(input);
  for await (const row of readRows(path, candidatesSchema, { expected: work.expectedRows(path) })) {
    if (!forgotten.has(row.user)) yield row;
  }
}

/** Writes the report of the rankings that lie in a folder. */
export async function writeRankingReport(folder: string): Promise<RankingReport> {
  const report = await rankingReport(readRows(join(folder, stageFiles.rank), rankingSchema));
  await writeFileAtomic(join(folder, RANKING_REPORT_FILE), `${JSON.stringify(report, null, 2)}\n`);
  return report;
}

/** The rankings of users who were not forgotten. */
export async function* rankingsOf(
  input: StageInput,
  { forgotten }: Pick<StageSetup, 'forgotten'>,
  work: Pick<StageWork, 'expectedRows'>,
): AsyncGenerator<RankingRow, void, void> {
  const path = await fileOf(input);
  for await (const row of readRows(path, rankingSchema, { expected: work.expectedRows(path) })) {
    if (!forgotten.has(row.user)) yield row;
  }
}
