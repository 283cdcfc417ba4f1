import type { Command } from 'commander';
import type { TrainEvent, TrainSummary } from '../train/events.js';
import type { ResolvedTrainOptions } from '../train/options.js';
import { newCommand, print, printJson } from './command.js';
import { EXIT_INTERRUPTED } from './exit-codes.js';
import { type FollowOptions, followTraining } from './follow-training.js';
import { formatNumber, formatSeconds, shellWord } from './format.js';
import type { Progress } from './progress.js';
import { addTrainFlags, readTrainFlags } from './train-flags.js';

export function trainCommand(): Command {
  const command = newCommand(
    'train',
    {
      summary: 'train a model or a LoRA adapter on preference pairs',
      description:
        'Trains a model, or a LoRA adapter for it, on preference pairs by persona-conditioned DPO.\n\n' +
        'Options may come from a YAML file with one "option: value" a line, named as the flags with underscores ' +
        '(learning_rate: 1.0e-6); flags win over the file. Names and meaning are those of TRL and PEFT wherever ' +
        'they have the option. Flags may be written with underscores, too.',
      examples: [
        [
          'persona-dpo train --model HuggingFaceTB/SmolLM2-135M-Instruct --pairs pairs.jsonl --output out --use-peft',
          'a LoRA adapter',
        ],
        [
          'persona-dpo train --config run.yaml --learning-rate 5e-7 --eval-split 0.1 --eval-strategy epoch',
          'options from a file, some of them changed',
        ],
        [
          'persona-dpo train --config out/config.yaml --resume-from-checkpoint true',
          'go on with a run that was interrupted',
        ],
        [
          'persona-dpo train --model ./base --adapter ./out/adapter --pairs new.jsonl --output out-2',
          'go on from an adapter with new pairs',
        ],
      ],
    },
    { json: 'print every event and the summary as lines of JSON' },
  ).option('--config <FILE>', 'YAML file with options; flags win over it');
  addTrainFlags(command);
  return command.action(async (flags: { config?: string; json?: boolean }) => {
    const { resolveFileOptions } = await import('../train/options.js');
    const { options, notices } = readTrainFlags(command, flags);
    const resolved = resolveFileOptions(options);
    const summary = await runTraining(resolved, { json: flags.json === true, notices });
    if (flags.json) printJson({ type: 'summary', ...summary });
    else print(describeSummary(summary));
    if (summary.outcome === 'interrupted') process.exitCode = EXIT_INTERRUPTED;
  });
}

/** Runs `train`, followed on standard error. */
export async function runTraining(
  options: ResolvedTrainOptions,
  following?: FollowOptions,
): Promise<TrainSummary> {
  const { train } = await import('../train/train.js');
  return followTraining({ train: (hooks) => train(options, hooks), printer: eventPrinter }, following);
}

/** Shows events of a run: steps and reference log-probabilities as a bar, the others as lines. */
export function eventPrinter(progress: Progress): (event: TrainEvent) => void {
  let margin: number | undefined;
  return (event) => {
    switch (event.type) {
      case 'stage':
        progress.end();
        progress.line(event.message);
        return;
      case 'notice':
        progress.line(`note: ${event.message}`);
        return;
      case 'reference': {
        const cached = event.cached > 0 ? ` (${event.cached} from the cache)` : '';
        progress.update('reference', event.done, event.total, `${event.done}/${event.total} pairs${cached}`);
        return;
      }
      case 'step': {
        margin = event.metrics['rewards/margins'] ?? margin;
        const parts = [
          `step ${event.step}/${event.maxSteps}`,
          `loss ${formatNumber(event.metrics.loss)}`,
          `margin ${formatNumber(margin)}`,
          `${Math.round(event.tokensPerSecond)} tokens/s`,
          `${formatSeconds(event.secondsLeft)} left`,
        ];
        progress.update('training', event.step, event.maxSteps, parts.join(', '));
        return;
      }
      case 'evaluation': {
        const { metrics } = event;
        const best = event.best ? ' (best so far)' : '';
        progress.line(
          `evaluation at step ${event.step}: loss ${formatNumber(metrics.eval_loss)}, ` +
            `accuracy ${formatNumber(metrics['eval_rewards/accuracies'])}, ` +
            `margin ${formatNumber(metrics['eval_rewards/margins'])}${best}`,
        );
        return;
      }
      case 'checkpoint':
        progress.line(`checkpoint at step ${event.step}: ${event.path}`);
        return;
    }
  };
}

export function describeSummary(summary: TrainSummary): string {
  const { outcome, step, maxSteps, seconds, metrics, evaluation, weights, outputDir, pairs } = summary;
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
      `loss ${formatNumber(metrics.loss)}, margin ${formatNumber(metrics['rewards/margins'])}, ` +
        `accuracy ${formatNumber(metrics['rewards/accuracies'])}`,
    );
  }
  if (evaluation !== null) {
    lines.push(
      `evaluation: loss ${formatNumber(evaluation.eval_loss)}, margin ${formatNumber(evaluation['eval_rewards/margins'])}, ` +
        `accuracy ${formatNumber(evaluation['eval_rewards/accuracies'])}`,
    );
  }
  if (weights !== null) lines.push(`The ${weights.kind} is in ${weights.path}.`);
  if (outcome === 'interrupted') {
    if (summary.checkpoint === null) lines.push('No step had been finished, so there is no checkpoint yet.');
    const config = shellWord(`${outputDir}/config.yaml`);
    lines.push(`Go on with: npx persona-dpo train --config ${config} --resume-from-checkpoint true`);
  }
  return lines.join('\n');
}
