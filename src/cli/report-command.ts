import type { Command } from 'commander';
import { newCommand, numberFlag, print, printJson, wholeNumber } from './command.js';
import { createProgress, silentProgress } from './progress.js';

interface ReportFlags {
  output?: string;
  pairs: number;
  json?: boolean;
}

export function reportCommand(): Command {
  return newCommand(
    'report',
    {
      summary: 'write what a run did as a page to read',
      description:
        'Writes one HTML file that shows what was run, what was dropped and why, curves, evaluations, pairs with ' +
        'their differences marked and the way back to the messages, personas, and what each stage took; of several ' +
        'runs, it compares them. The file loads nothing from any network, and its drawings lie beside it as SVG and ' +
        'PNG. A run that is not done yet is shown as far as it is. The page holds the words of users as the run does.',
      examples: [
        ['persona-dpo report runs/wildchat', 'writes runs/wildchat/report.html'],
        ['persona-dpo report runs/dpo runs/sft --output comparison.html', 'two runs side by side'],
        ['persona-dpo report runs/wildchat --pairs 0', 'figures and settings, and nothing that was said'],
      ],
    },
    { json: 'print where the files are as JSON' },
  )
    .argument('<RUN...>', "folders of runs, or of persona-dpo train's")
    .option(
      '--output <FILE>',
      "the page (default: report.html in the run's folder, of several runs comparison.html in the first's)",
    )
    .option(
      '--pairs <NUMBER>',
      'pairs, and personas, of each run that the page holds at most; 0: figures and settings alone',
      numberFlag('a whole number from 0', wholeNumber(0)),
      10_000,
    )
    .action(report);
}

async function report(folders: string[], { output, pairs, json }: ReportFlags): Promise<void> {
  const { writeRunReport } = await import('../run/report/write-run-report.js');
  const progress = json ? silentProgress() : createProgress();
  try {
    const written = await writeRunReport(
      folders,
      { pairs, ...(output === undefined ? {} : { output }) },
      {
        onProgress: (what, done, total) =>
          progress.update(what === 'runs' ? 'reading' : 'drawing', done, total, `${done}/${total} ${what}`),
      },
    );
    progress.end();
    if (json) printJson(written);
    else print(`Report:   ${written.html}\nDrawings: ${written.plotsFolder}`);
  } finally {
    progress.end();
  }
}
