import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ResolvedTrainOptions } from '../train/options.js';
import type { TrainRewardSummary } from '../train/reward/events.js';
import type { ResolvedTrainRewardOptions } from '../train/reward/reward-options.js';
import { readTextFlag } from './command.js';
import type { Progress } from './progress.js';
import { quickstartFolder } from './quickstart-data.js';
import { runRewardTraining } from './train-reward-command.js';

/** In a quickstart's folder: its reward model. */
export const REWARD_FOLDER = 'reward';

/** How well the example's reward model tells preferred from turned-down answers that it was not trained on. */
export interface QuickstartReward {
  /** What the run scores with. */
  onnx: string;
  heldOut: { pairs: number; correct: number };
  seconds: number;
}

/**
 * Trains the example's reward model by `examples/quickstart/reward.yaml`, or takes the one that is there from an earlier
 * time. Null when it was interrupted.
 */
export async function quickstartReward(
  { outputDir, ...machine }: Pick<ResolvedTrainOptions, 'outputDir' | 'model' | 'device' | 'threads'>,
  progress: Progress,
): Promise<QuickstartReward | null> {
  const options = await rewardOptions(join(outputDir, REWARD_FOLDER), machine);
  const done = finishedBefore(options.outputDir);
  if (done !== null) return done;
  progress.line('The reward model: trained on pairs that the log does not have.');
  return fromSummary(await runRewardTraining(options, { progress }));
}

async function rewardOptions(
  folder: string,
  { model, device, threads }: Pick<ResolvedTrainOptions, 'model' | 'device' | 'threads'>,
): Promise<ResolvedTrainRewardOptions> {
  const { resolveRewardFileOptions, rewardOptionSet } = await import('../train/reward/reward-options.js');
  const example = quickstartFolder();
  const file = join(example, 'reward.yaml');
  const { options } = rewardOptionSet.fromYaml(readTextFlag(file, 'reward.yaml'), file);
  return resolveRewardFileOptions({
    ...options,
    ...{ model, device, threads },
    pairs: [join(example, 'pairs.jsonl')],
    evalPairs: [join(example, 'held-out.jsonl')],
    outputDir: folder,
    // What an interrupted quickstart has begun is gone on with.
    resumeFromCheckpoint: existsSync(folder),
  });
}

function finishedBefore(folder: string): QuickstartReward | null {
  const file = join(folder, 'summary.json');
  if (!existsSync(file)) return null;
  return fromSummary(JSON.parse(readFileSync(file, 'utf8')) as TrainRewardSummary);
}

function fromSummary({ outcome, onnx, heldOut, seconds }: TrainRewardSummary): QuickstartReward | null {
  return outcome === 'interrupted' || onnx === null || heldOut === null ? null : { onnx, heldOut, seconds };
}
