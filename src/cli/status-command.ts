import type { Command } from 'commander';
import type { RunStatus } from '../run/status.js';
import { newCommand, print, printJson } from './command.js';
import { shellWord } from './format.js';
import { describeCounts, funnelTable } from './run-display.js';

export function statusCommand(): Command {
  return newCommand(
    'status',
    {
      summary: 'show where a run stands',
      description:
        'Shows which stages of a run are done, what came in and went out of each and why the rest did not, and what ' +
        'a process that works on it is at. Whether what is done is up to date with logs and configuration is told by ' +
        'persona-dpo run CONFIG --dry-run.',
      examples: [['persona-dpo status runs/wildchat'], ['persona-dpo status runs/wildchat --json']],
    },
    { json: 'print it as JSON' },
  )
    .argument('<RUN>', "the run's folder")
    .action(async (folder: string, { json }: { json?: boolean }) => {
      const { runStatus } = await import('../run/status.js');
      const status = await runStatus(folder);
      if (json) printJson(status);
      else print(describeStatus(status));
    });
}

export function describeStatus({ folder, worker, stages, limited }: RunStatus): string {
  const rows = stages.map((stage) =>
    stage.state === 'done' ? stage : { stage: stage.stage, counts: null, usage: null, seconds: null },
  );
  const lines = [`Run in ${folder}`, ...workerLines({ worker }), funnelTable(rows)];
  const dropping = stages.filter((stage) => stage.state === 'done' && stage.dropped !== null);
  if (dropping.length > 0) {
    lines.push('', 'What was dropped, with reasons:');
    for (const stage of dropping) {
      if (stage.state !== 'done') continue;
      for (const counts of stage.counts) lines.push(`  ${stage.stage}: ${describeCounts(counts)}`);
    }
    lines.push(`Row by row in ${folder}/STAGE/dropped.jsonl.`);
  }
  for (const trial of limited) lines.push(`Trial: npx persona-dpo status ${shellWord(trial)}`);
  return lines.join('\n');
}

function workerLines({ worker }: Pick<RunStatus, 'worker'>): string[] {
  if (worker === null) return [];
  const { pid, host, atWork } = worker;
  const at =
    atWork === null
      ? ''
      : `: ${atWork.stage}, ${atWork.done}${atWork.total > 0 ? ` of ${atWork.total}` : ''} done`;
  return [`Process ${pid ?? 'unknown'} on ${host ?? 'an unknown machine'} works on it${at}.`];
}
