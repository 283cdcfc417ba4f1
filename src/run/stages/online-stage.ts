import { join } from 'node:path';
import { writeFileAtomic } from '../../data/atomic-write.js';
import { DataError } from '../../errors.js';
import { trainOnline } from '../../train/online/train-online.js';
import { type RunOnlineOptions, resolveRunOnline } from '../config/online-section.js';
import { readRows } from '../row-files.js';
import { promptSchema } from '../row-schemas.js';
import type { RunStage, StageInput } from '../stage.js';
import { markedWeights } from '../weights-mark.js';
import { plain } from './asking-stage.js';
import { fileOf, givenFiles, type StageSetup } from './setup.js';
import { TRAINED_USERS_FILE, trainedUserHash, weightFiles } from './train-stage.js';

/**
 * Online persona-DPO on the run's prompts (sections 2.4 and 3.2), with the run's reward model; what it writes is what
 * `persona-dpo train-online` writes.
 */
export function onlineStage(setup: StageSetup, options: RunOnlineOptions, prompts: StageInput): RunStage {
  const { folder, models, rewards, hub, secret } = setup;
  const evalPrompts = options.evalPrompts ?? undefined;
  const held = evalPrompts === undefined ? [] : [givenFiles('held-out prompts', [evalPrompts].flat())];
  return {
    name: 'online',
    version: 1,
    options: plain(options),
    templates: rewards.templates(),
    get model() {
      return `${markedWeights(options.model, hub)}, ${rewards.describe() ?? 'no rewards'}`;
    },
    inputs: [prompts, ...held],
    resumes: true,
    estimate: () => undefined,
    async run(work) {
      const file = await fileOf(prompts);
      const users = await usersOf(file);
      if (users.prompts === 0) throw new DataError('there are no prompts to train on', { file });
      // Training wants the memory that the stages' models have.
      await models.dispose();
      const path = join(work.folder, TRAINED_USERS_FILE);
      await writeFileAtomic(path, `${JSON.stringify(users.byUser, null, 2)}\n`);
      const resolved = resolveRunOnline(options, {
        prompts: file,
        outputDir: folder.stage('online'),
        resume: work.resuming,
      });
      const scorer = await rewards.open();
      const { onTrainEvent: onEvent, signal } = work;
      const summary = await trainOnline(resolved, { onEvent, signal, hub, secret, scorer });
      if (summary.outcome === 'interrupted') work.signal.throwIfAborted();
      for (const { message } of summary.warnings) work.onNotice(message);
      const { bad, dropped } = summary.prompts;
      return {
        outputs: summary.weights === null ? {} : await weightFiles(work.folder, summary.weights.path),
        counts: [
          {
            unit: 'prompts',
            in: users.prompts,
            out: users.prompts - bad - dropped,
            dropped: { ...(bad > 0 && { unreadable: bad }), ...(dropped > 0 && { 'not-given': dropped }) },
          },
        ],
        facts: {
          steps: summary.step,
          groups: summary.groups.total,
          ...summary.metrics,
          ...summary.evaluation,
        },
        modelIdentity: scorer.identity,
        usage: null,
      };
    },
  };
}

async function usersOf(file: string): Promise<{ prompts: number; byUser: Record<string, number> }> {
  const byUser: Record<string, number> = {};
  let prompts = 0;
  for await (const { user } of readRows(file, promptSchema)) {
    prompts++;
    const hash = trainedUserHash(user);
    byUser[hash] = (byUser[hash] ?? 0) + 1;
  }
  return { prompts, byUser };
}
