import type { OnlineTrainEvent, OnlineTrainSummary } from '../train/online/events.js';
import {
  onlineOptionSet,
  type ResolvedOnlineTrainOptions,
  resolveOnlineTrainOptions,
} from '../train/online/options.js';
import { newCommand, print, printJson } from './command.js';
import { EXIT_INTERRUPTED } from './exit-codes.js';
import { type FollowOptions, followTraining } from './follow-training.js';
import { formatNumber, formatSeconds, shellWord } from './format.js';
import { addOptionFlags, readOptionFlags } from './option-flags.js';
import type { Progress } from './progress.js';

export function trainOnlineCommand() {
  const command = newCommand(
    'train-online',
    {
      summary: 'train a model on its own answers, which a reward model compares',
      description:
        'Trains a model, or a LoRA adapter for it, by online persona-DPO. In each step the model as it is answers ' +
        'prompts with personas several times, a reward model that sees the persona scores the answers, and the best ' +
        'and the worst answer to each prompt become a pair for one update. Every answer is kept with its reward in ' +
        'rollouts.jsonl; `persona-dpo rollouts` shows them.\n\n' +
        'Options may come from a YAML file with one "option: value" a line, named as the flags with underscores; ' +
        "flags win over the file. Names are those of TRL's OnlineDPOTrainer and GRPOTrainer, and of train, wherever " +
        'they have the option. Flags may be written with underscores, too.',
      examples: [
        [
          'persona-dpo train-online --model HuggingFaceTB/SmolLM2-135M-Instruct --prompts prompts.jsonl --reward-model reward/onnx --output out --use-peft',
          'a LoRA adapter, with the batch sizes of the paper',
        ],
        [
          'persona-dpo train-online --model ./base --prompts prompts.jsonl --reward-model reward/onnx --output out --use-peft --per-device-train-batch-size 4 --num-generations 8 --max-new-tokens 64 --max-steps 30 --eval-split 0.2',
          'small enough for two processors; the held-out reward before and after',
        ],
        [
          'persona-dpo train-online --config out/config.yaml --output control --shuffle-rewards',
          'the same with nothing to learn from, as a control',
        ],
        [
          'persona-dpo train-online --config out/config.yaml --resume-from-checkpoint true',
          'go on with a run that was interrupted',
        ],
        [
          'persona-dpo train-online --config run.yaml --vllm-server-base-url http://127.0.0.1:8000/v1 --vllm-sync-steps 4',
          'answers from a vLLM server that gets the adapter every four steps',
        ],
      ],
    },
    { json: 'print every event and the summary as lines of JSON' },
  ).option('--config <FILE>', 'YAML file with options; flags win over it');
  addOptionFlags(command, onlineOptionSet);
  return command.action(async (flags: { config?: string; json?: boolean }) => {
    const { options, notices } = readOptionFlags(command, onlineOptionSet, flags);
    const resolved = resolveOnlineTrainOptions(options, 'file');
    const summary = await runOnlineTraining(resolved, { json: flags.json === true, notices });
    if (flags.json) printJson({ type: 'summary', ...summary });
    else print(describeOnlineSummary(summary));
    if (summary.outcome === 'interrupted') process.exitCode = EXIT_INTERRUPTED;
    if (summary.outcome === 'stopped-early') process.exitCode = 1;
  });
}

/** Runs `trainOnline`, followed on standard error. */
export async function runOnlineTraining(
  options: ResolvedOnlineTrainOptions,
  following?: FollowOptions,
): Promise<OnlineTrainSummary> {
  const { trainOnline } = await import('../train/online/train-online.js');
  const secret = (variable: string) => process.env[variable];
  return followTraining(
    {
      train: (hooks) => trainOnline(options, { ...hooks, secret }),
      printer: onlineEventPrinter,
      stopping: 'Stopping and saving the last whole step',
    },
    following,
  );
}

/** Shows events of a run: steps and samples as a bar, the others as lines. */
export function onlineEventPrinter(progress: Progress): (event: OnlineTrainEvent) => void {
  let steps = { step: 0, maxSteps: 0, text: '' };
  return (event) => {
    switch (event.type) {
      case 'stage':
        progress.end();
        progress.line(event.message);
        return;
      case 'notice':
        progress.line(`note: ${event.message}`);
        return;
      case 'reference':
        return;
      case 'rollout': {
        const { set, written, scored, total } = event;
        const groups = `${written} of ${total} prompts answered, ${scored} scored`;
        if (set === 'evaluation') progress.update('held-out', scored, total, groups);
        else progress.update('training', steps.step, steps.maxSteps, `${steps.text}${groups}`);
        return;
      }
      case 'reload':
        return;
      case 'step': {
        steps = { step: event.step, maxSteps: event.maxSteps, text: '' };
        progress.update('training', event.step, event.maxSteps, stepText(event));
        steps.text = `${stepText(event)}; `;
        return;
      }
      case 'evaluation':
        progress.line(`held-out reward at step ${event.step}: ${heldOutText(event.metrics)}`);
        return;
      case 'reward-hacking':
        progress.line(`warning at step ${event.step}: ${event.message}`);
        return;
      case 'checkpoint':
        progress.line(`checkpoint at step ${event.step}: ${event.path}`);
        return;
    }
  };
}

function stepText({ step, maxSteps, metrics, secondsLeft }: Extract<OnlineTrainEvent, { type: 'step' }>) {
  return [
    `step ${step}/${maxSteps}`,
    `reward ${formatNumber(metrics.reward)}`,
    `KL ${formatNumber(metrics['objective/kl'])}`,
    `length ${formatNumber(metrics['completions/mean_length'])}`,
    `${formatSeconds(secondsLeft)} left`,
  ].join(', ');
}

/** `0.52 (0.4 to 0.64), change +0.1 (0.02 to 0.18)` */
function heldOutText(metrics: Readonly<Record<string, number>>): string {
  const { eval_reward_change: change } = metrics;
  const rest =
    change === undefined
      ? ''
      : `, change ${change > 0 ? '+' : ''}${intervalText(metrics, 'eval_reward_change')}`;
  return `${intervalText(metrics, 'eval_reward')}${rest}`;
}

function intervalText(metrics: Readonly<Record<string, number>>, name: string): string {
  const [low, high] = [metrics[`${name}_low`], metrics[`${name}_high`]];
  const ends = low === undefined ? '' : ` (${formatNumber(low)} to ${formatNumber(high)})`;
  return `${formatNumber(metrics[name])}${ends}`;
}

export function describeOnlineSummary(summary: OnlineTrainSummary): string {
  const { outcome, step, maxSteps, seconds, prompts, groups, metrics, evaluation, outputDir } = summary;
  const ending = {
    finished: 'Finished',
    'stopped-early': 'Stopped by signs of reward hacking',
    interrupted: 'Interrupted',
  }[outcome];
  const lines = [
    `${ending} after ${step} of ${maxSteps} steps on ${prompts.used} prompts in ${formatSeconds(seconds)}.`,
  ];
  if (prompts.bad + prompts.dropped > 0) {
    lines.push(
      `${prompts.bad} rows could not be read and ${prompts.dropped} prompts were dropped; see ${outputDir}.`,
    );
  }
  const without = Object.entries(groups.withoutPair);
  if (without.length > 0) {
    const reasons = without.map(([reason, count]) => `${count} ${reason}`).join(', ');
    lines.push(`${groups.total} groups of samples, of which some gave no pair: ${reasons}.`);
  }
  if (step > 0) {
    lines.push(
      `last step: reward ${formatNumber(metrics.reward)}, margin ${formatNumber(metrics.reward_margin)}, ` +
        `KL ${formatNumber(metrics['objective/kl'])}, loss ${formatNumber(metrics.loss)}`,
    );
  }
  if (evaluation !== null) lines.push(`held-out reward: ${heldOutText(evaluation)}`);
  for (const { message } of summary.warnings) lines.push(`warning: ${message}`);
  if (summary.weights !== null) lines.push(`The ${summary.weights.kind} is in ${summary.weights.path}.`);
  if (groups.total > 0) lines.push(`Look at samples: npx persona-dpo rollouts ${shellWord(outputDir)}`);
  if (outcome === 'interrupted') {
    if (summary.checkpoint === null) lines.push('No step had been finished, so there is no checkpoint yet.');
    const config = shellWord(`${outputDir}/config.yaml`);
    lines.push(`Go on with: npx persona-dpo train-online --config ${config} --resume-from-checkpoint true`);
  }
  return lines.join('\n');
}
