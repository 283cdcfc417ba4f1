import type { Interval } from '../eval/statistics/interval.js';
import type { TrainRewardEvent, TrainRewardSummary } from '../train/reward/events.js';
import type { ResolvedTrainRewardOptions } from '../train/reward/reward-options.js';
import { newCommand, print, printJson } from './command.js';
import { EXIT_INTERRUPTED } from './exit-codes.js';
import { type FollowOptions, followTraining } from './follow-training.js';
import { formatNumber, formatSeconds, shellWord } from './format.js';
import type { Progress } from './progress.js';
import { addRewardFlags, readRewardFlags } from './train-reward-flags.js';

export function trainRewardCommand() {
  const command = newCommand(
    'train-reward',
    {
      summary: 'train a reward model on preference pairs',
      description:
        'Trains a reward model, which gives an answer a number, on preference pairs: the preferred answer of a pair ' +
        'is to get the higher one (Bradley-Terry). A row may have a persona, which enters the prompt as it does in ' +
        'scoring, and a margin. What comes out is a model for transformers (model/), one for ONNX Runtime (onnx/), ' +
        "and under LoRA PEFT's adapter (adapter/).\n\n" +
        'Options may come from a YAML file with one "option: value" a line, named as the flags with underscores; ' +
        "flags win over the file. Names and meaning are those of TRL's RewardTrainer and PEFT wherever they have the " +
        'option. Flags may be written with underscores, too.',
      examples: [
        [
          'persona-dpo train-reward --model HuggingFaceTB/SmolLM2-135M-Instruct --pairs pairs.jsonl --output reward --eval-split 0.2',
          'a LoRA adapter and the head; accuracy on a fifth of the users, who are not trained on',
        ],
        [
          'persona-dpo train-reward --model HuggingFaceTB/SmolLM2-135M-Instruct --pairs pairs.jsonl --output reward --mode head',
          'the head alone: what the model makes of each answer is computed once',
        ],
        [
          'persona-dpo train-reward --config reward/config.yaml --resume-from-checkpoint true',
          'go on with a run that was interrupted',
        ],
      ],
    },
    { json: 'print every event and the summary as lines of JSON' },
  ).option('--config <FILE>', 'YAML file with options; flags win over it');
  addRewardFlags(command);
  return command.action(async (flags: { config?: string; json?: boolean }) => {
    const { resolveRewardFileOptions } = await import('../train/reward/reward-options.js');
    const { options, notices } = readRewardFlags(command, flags);
    const resolved = resolveRewardFileOptions(options);
    const summary = await runRewardTraining(resolved, { json: flags.json === true, notices });
    const accuracy = await heldOutAccuracy(summary);
    if (flags.json) printJson({ type: 'summary', ...summary, accuracy });
    else print(describeSummary(summary, accuracy));
    if (summary.outcome === 'interrupted') process.exitCode = EXIT_INTERRUPTED;
  });
}

/** Runs `trainReward`, followed on standard error. */
export async function runRewardTraining(
  options: ResolvedTrainRewardOptions,
  following?: FollowOptions,
): Promise<TrainRewardSummary> {
  const { trainReward } = await import('../train/reward/train-reward.js');
  return followTraining({ train: (hooks) => trainReward(options, hooks), printer: eventPrinter }, following);
}

/** Shows events of a run: steps and features as a bar, the others as lines. */
export function eventPrinter(progress: Progress): (event: TrainRewardEvent) => void {
  return (event) => {
    switch (event.type) {
      case 'stage':
        progress.end();
        progress.line(event.message);
        return;
      case 'notice':
        progress.line(`note: ${event.message}`);
        return;
      case 'features': {
        const cached = event.cached > 0 ? ` (${event.cached} from the cache)` : '';
        progress.update('features', event.done, event.total, `${event.done}/${event.total} pairs${cached}`);
        return;
      }
      case 'step': {
        const { loss, accuracy, margin } = event.metrics;
        const parts = [
          `step ${event.step}/${event.maxSteps}`,
          `loss ${formatNumber(loss)}`,
          `accuracy ${formatNumber(accuracy)}`,
          `margin ${formatNumber(margin)}`,
          ...(event.tokens > 0 ? [`${Math.round(event.tokensPerSecond)} tokens/s`] : []),
          `${formatSeconds(event.secondsLeft)} left`,
        ];
        progress.update('training', event.step, event.maxSteps, parts.join(', '));
        return;
      }
      case 'evaluation': {
        const { eval_loss: loss, eval_accuracy: accuracy, eval_margin: margin } = event.metrics;
        progress.line(
          `evaluation at step ${event.step}: loss ${formatNumber(loss)}, accuracy ${formatNumber(accuracy)}, ` +
            `margin ${formatNumber(margin)}${event.best ? ' (best so far)' : ''}`,
        );
        return;
      }
      case 'checkpoint':
        progress.line(`checkpoint at step ${event.step}: ${event.path}`);
        return;
      case 'reference':
        // There is no reference.
        return;
    }
  };
}

/** Wilson's interval of the share of held-out pairs that are ranked right. */
async function heldOutAccuracy({ heldOut }: TrainRewardSummary): Promise<Interval | null> {
  if (heldOut === null) return null;
  const { wilsonInterval } = await import('../eval/statistics/wilson.js');
  return wilsonInterval(heldOut.correct, heldOut.pairs);
}

export function describeSummary(summary: TrainRewardSummary, accuracy: Interval | null): string {
  const { outcome, step, maxSteps, seconds, metrics, outputDir, pairs, heldOut } = summary;
  const ending = { finished: 'Finished', 'stopped-early': 'Stopped early', interrupted: 'Interrupted' }[
    outcome
  ];
  const lines = [
    `${ending} after ${step} of ${maxSteps} steps on ${pairs.used} pairs in ${formatSeconds(seconds)}.`,
  ];
  if (pairs.bad + pairs.dropped > 0) {
    lines.push(
      `${pairs.bad} rows could not be read and ${pairs.dropped} pairs were dropped; see ${outputDir}.`,
    );
  }
  if (step > 0) {
    lines.push(
      `last step: loss ${formatNumber(metrics.loss)}, margin ${formatNumber(metrics.margin)}, ` +
        `accuracy ${formatNumber(metrics.accuracy)}`,
    );
  }
  if (heldOut !== null && accuracy !== null) {
    const percent = (share: number) => `${(100 * share).toFixed(1)}%`;
    lines.push(
      `held-out accuracy: ${percent(accuracy.estimate)} (${heldOut.correct} of ${heldOut.pairs} pairs; ` +
        `${100 * accuracy.confidence}% interval ${percent(accuracy.low)} to ${percent(accuracy.high)})`,
    );
  }
  if (summary.model !== null) lines.push(`The reward model is in ${summary.model}.`);
  if (summary.adapter !== null) lines.push(`The adapter is in ${summary.adapter}.`);
  if (summary.onnx !== null) lines.push(`The model for \`score\` is in ${summary.onnx}.`);
  if (outcome === 'interrupted') {
    if (summary.checkpoint === null) lines.push('No step had been finished, so there is no checkpoint yet.');
    const config = shellWord(`${outputDir}/config.yaml`);
    lines.push(`Go on with: npx persona-dpo train-reward --config ${config} --resume-from-checkpoint true`);
  }
  return lines.join('\n');
}
