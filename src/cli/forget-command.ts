import type { Command } from 'commander';
import type { ForgetResult } from '../run/forget.js';
import { newCommand, print, printJson } from './command.js';

export function forgetCommand(): Command {
  return newCommand(
    'forget',
    {
      summary: 'remove everything of a user from a run',
      description:
        'Removes everything of a user from a run and its trials: the rows of every stage, traces of what was dropped, ' +
        "and the model's replies to the user's words. A salted hash of the id stays, so that a later run on the same " +
        'logs leaves the user out. Nothing of others is done again.\n\n' +
        'What cannot be removed: weights do not let go of single pairs. Adapters and models that were trained with ' +
        "the user's pairs are named; delete them, and train anew. The logs themselves, and copies made elsewhere, are " +
        'yours to clean. Rows of the logs that could not be read leave their id and place, and no text.',
      examples: [['persona-dpo forget runs/wildchat --user 5f1c0a9e']],
    },
    { json: 'print what was removed as JSON' },
  )
    .argument('<RUN>', "the run's folder")
    .requiredOption('--user <ID>', "the user, as the run's rows name the user")
    .action(async (folder: string, { user, json }: { user: string; json?: boolean }) => {
      const { forgetUser } = await import('../run/forget.js');
      const result = await forgetUser(folder, user);
      if (json) printJson(result);
      else print(describeForgotten(result));
    });
}

export function describeForgotten({ folder, removed, replies, trained, reports }: ForgetResult): string {
  const lines = removed.map(({ file, rows }) => `${file}: ${rows} ${rows === 1 ? 'row' : 'rows'} removed`);
  if (replies > 0) lines.push(`${folder}/replies: ${replies} kept replies removed`);
  for (const report of reports) lines.push(`${report}: removed, to be written anew`);
  if (lines.length === 0) lines.push('Nothing of this user was in the run.');
  lines.push('A later run on the same logs leaves this user out.');
  if (trained.length > 0) {
    lines.push(
      '',
      "These weights were trained with the user's pairs, and cannot let go of them; delete them:",
    );
    for (const { weights, pairs } of trained) lines.push(`  ${weights} (${pairs} pairs)`);
    lines.push('The next run trains anew without them.');
  }
  return lines.join('\n');
}
