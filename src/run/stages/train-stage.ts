import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { writeFileAtomic } from '../../data/atomic-write.js';
import { isPreferencePair } from '../../data/pairs.js';
import { streamPairs } from '../../data/read-pairs.js';
import { DataError } from '../../errors.js';
import { train } from '../../train/train.js';
import { type RunTrainOptions, resolveRunTraining } from '../config/run-config.js';
import type { OutputFile } from '../manifest.js';
import { fileOutput } from '../output-file.js';
import type { RunStage, StageInput } from '../stage.js';
import { markedWeights } from '../weights-mark.js';
import { plain } from './asking-stage.js';
import { fileOf, givenFiles, type StageSetup } from './setup.js';

/** Which users' pairs the weights were trained on: by a hash of each user, with the number of pairs. */
export const TRAINED_USERS_FILE = 'trained-users.json';

/** Trains on the run's pairs; what it writes is what `persona-dpo train` writes. */
export function trainStage(setup: StageSetup, options: RunTrainOptions, pairs: StageInput): RunStage {
  const { folder, models, rewards, hub } = setup;
  const evalPairs = options.evalPairs ?? undefined;
  return {
    name: 'train',
    version: 1,
    options: plain(options),
    templates: {},
    get model() {
      return markedWeights(options.model, hub);
    },
    inputs: [pairs, ...(evalPairs === undefined ? [] : [givenFiles('evaluation pairs', [evalPairs].flat())])],
    resumes: true,
    estimate: () => undefined,
    async run(work) {
      const file = await fileOf(pairs);
      const users = await trainedUsers(file);
      if (users.pairs === 0) throw nothingToTrainOn(setup, file);
      if (Object.keys(users.bySource).length > 1) work.onNotice(`pairs to train on: ${shares(users)}`);
      // Training wants the memory that the stages' models have.
      await models.dispose();
      await rewards.dispose();
      await writeFileAtomic(
        join(work.folder, TRAINED_USERS_FILE),
        `${JSON.stringify(users.byUser, null, 2)}\n`,
      );
      const resolved = resolveRunTraining(options, {
        pairs: file,
        outputDir: folder.stage('train'),
        resume: work.resuming,
      });
      const summary = await train(resolved, { onEvent: work.onTrainEvent, signal: work.signal, hub });
      if (summary.outcome === 'interrupted') work.signal.throwIfAborted();
      const { used, bad, dropped } = summary.pairs;
      return {
        outputs: summary.weights === null ? {} : await weightFiles(work.folder, summary.weights.path),
        counts: [
          {
            unit: 'pairs',
            in: users.pairs,
            out: users.pairs - bad - dropped,
            dropped: { ...(bad > 0 && { unreadable: bad }), ...(dropped > 0 && { 'nothing-left': dropped }) },
            noted: users.bySource,
          },
        ],
        facts: { steps: summary.step, pairs: used, ...summary.metrics, ...summary.evaluation },
        modelIdentity: null,
        usage: null,
      };
    },
  };
}

/** The files of the trained weights, so that it is noticed when one is gone. */
export async function weightFiles(folder: string, weights: string): Promise<Record<string, OutputFile>> {
  const files: Record<string, OutputFile> = {};
  for (const name of readdirSync(weights).sort()) {
    const path = join(weights, name);
    if (statSync(path).isFile()) files[relative(folder, path)] = await fileOutput(path, null);
  }
  return files;
}

function nothingToTrainOn({ folder }: StageSetup, file: string): DataError {
  const counts = folder.manifest('pairs')?.counts ?? [];
  const reasons = counts.flatMap(({ unit, in: all, dropped }) =>
    Object.entries(dropped).map(([reason, count]) => ({ unit, all, reason, count })),
  );
  const [most] = reasons.sort((a, b) => b.count - a.count);
  const why =
    most === undefined
      ? 'no answer was made anew, and no candidates were ranked'
      : `of ${most.all} ${most.unit} ${most.count} were dropped as ${most.reason}; thresholds.json beside them shows what other thresholds would keep`;
  return new DataError(`There are no pairs to train on: ${why}.`, { file });
}

/** The hash under which a user stands in {@link TRAINED_USERS_FILE}. */
export function trainedUserHash(user: string): string {
  return createHash('sha256').update(user).digest('hex');
}

interface PairsOf {
  pairs: number;
  byUser: Record<string, number>;
  bySource: Record<string, number>;
}

/** `812 rewrite (67.0 %), 400 user-based-rewards (33.0 %)`. */
function shares({ pairs, bySource }: PairsOf): string {
  const share = (count: number) => `${((100 * count) / pairs).toFixed(1)} %`;
  return Object.entries(bySource)
    .map(([source, count]) => `${count} ${source} (${share(count)})`)
    .join(', ');
}

async function trainedUsers(file: string): Promise<PairsOf> {
  const byUser: Record<string, number> = {};
  const bySource: Record<string, number> = {};
  let pairs = 0;
  for await (const row of streamPairs(file)) {
    pairs++;
    if (!row.ok || !isPreferencePair(row.pair)) continue;
    const { user, source = 'unknown' } = row.pair;
    bySource[source] = (bySource[source] ?? 0) + 1;
    if (user === undefined) continue;
    const hash = trainedUserHash(user);
    byUser[hash] = (byUser[hash] ?? 0) + 1;
  }
  return { pairs, byUser, bySource };
}
