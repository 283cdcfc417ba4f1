import type { Command } from 'commander';
import type { RolloutRow } from '../train/online/rollout-log.js';
import { newCommand, numberFlag, print, printJson, wholeNumber } from './command.js';
import { formatNumber } from './format.js';
import { wrap } from './wrap.js';

interface RolloutsFlags {
  most: number;
  step?: number;
  prompt?: string;
  user?: string;
  evaluation?: boolean;
  all?: boolean;
  json?: boolean;
}

export function rolloutsCommand(): Command {
  return newCommand(
    'rollouts',
    {
      summary: 'show what a model answered in an online run, with rewards',
      description:
        'Shows groups of samples of a run of train-online: the prompt, the persona, and the answers with their ' +
        'rewards, the chosen and the rejected one marked. Without --step those of the newest step.',
      examples: [
        ['persona-dpo rollouts out'],
        ['persona-dpo rollouts out --step 0 --most 1 --all', 'every answer to one prompt before training'],
        ['persona-dpo rollouts out --user user-01 --evaluation', 'one user, in the evaluations'],
        ['persona-dpo rollouts out --step 3 --json'],
      ],
    },
    { json: 'print groups as lines of JSON' },
  )
    .argument('<RUN>', "the run's folder, or its rollouts.jsonl")
    .option('--most <NUMBER>', 'groups to show', numberFlag('a whole number from 1', wholeNumber(1)), 3)
    .option(
      '--step <NUMBER>',
      'after how many steps the samples were drawn',
      numberFlag('a whole number from 0', wholeNumber(0)),
    )
    .option('--prompt <ID>', 'only this prompt, by its id or the beginning of it')
    .option('--user <USER>', 'only prompts of this user')
    .option('--evaluation', 'samples of evaluations instead of those trained on')
    .option('--all', 'every answer, not only the chosen and the rejected one')
    .action(showRollouts);
}

async function showRollouts(path: string, flags: RolloutsFlags): Promise<void> {
  const groups = await selectedGroups(path, flags);
  if (flags.json) for (const group of groups) printJson(group);
  else if (groups.length === 0) print('There are no such samples.');
  else print(groups.map((group) => describeGroup(group, flags.all === true)).join('\n\n'));
}

/** The first groups of the step that is asked for, or of the newest; a file may be longer than memory. */
async function selectedGroups(path: string, { most, step, prompt, user, evaluation }: RolloutsFlags) {
  const { readRollouts } = await import('../train/online/rollout-log.js');
  const set = evaluation === true ? 'evaluation' : 'train';
  let groups: RolloutRow[] = [];
  let newest = -1;
  for await (const row of readRollouts(path)) {
    const wanted =
      row.set === set &&
      (step === undefined || row.step === step) &&
      (user === undefined || row.user === user) &&
      (prompt === undefined || row.prompt_id.startsWith(prompt));
    if (!wanted) continue;
    // Of one prompt or user all steps are of interest; else those of the newest step.
    const latest = step === undefined && prompt === undefined && user === undefined;
    if (latest && row.step > newest) groups = [];
    newest = row.step;
    if (groups.length < most) groups.push(row);
  }
  return groups;
}

const INDENT = '    ';

export function describeGroup(group: RolloutRow, all: boolean): string {
  const { step, prompt_id, user, persona, prompt, completions, chosen, rejected, no_pair, staleness } = group;
  const who = user === undefined ? '' : `, ${user}`;
  const old = staleness === 0 ? '' : `, of weights ${staleness} steps older`;
  const lines = [`After ${step} steps${old}: prompt ${prompt_id}${who}`];
  if (persona !== undefined) lines.push('  persona', block(persona));
  for (const { role, content } of prompt) lines.push(`  ${role}`, block(content));
  const rewards = completions.flatMap(({ reward }) => (reward === null ? [] : [reward]));
  if (rewards.length > 0) {
    const [low, high] = [Math.min(...rewards), Math.max(...rewards)];
    lines.push(`  ${completions.length} answers, rewards ${formatNumber(low)} to ${formatNumber(high)}`);
  }
  if (no_pair !== undefined) lines.push(`  no pair: ${no_pair}`);
  const pairOnly = !all && chosen !== null && rejected !== null;
  const shown = pairOnly ? [chosen, rejected] : completions.map((_, index) => index);
  for (const index of shown) {
    const completion = completions[index];
    if (completion === undefined) continue;
    const mark = index === chosen ? 'chosen' : index === rejected ? 'rejected' : 'answer';
    const reward = completion.reward === null ? 'none, no words' : formatNumber(completion.reward);
    const cut = completion.finish_reason === 'length' ? ', cut' : '';
    lines.push(`  ${mark} ${index + 1}: reward ${reward}, ${completion.tokens} tokens${cut}`);
    lines.push(block(completion.text));
  }
  return lines.join('\n');
}

/** A model may write what a terminal would take for a command. */
function block(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  return wrap(text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\ufffd'), { indent: INDENT });
}
