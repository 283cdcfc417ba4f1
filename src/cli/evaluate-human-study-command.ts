import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { ConfigError } from '../errors.js';
import { type StudyResults, studyEvaluation, studyResults } from '../eval/human-study/results.js';
import { startStudy } from '../eval/human-study/server.js';
import { readVotes } from '../eval/human-study/votes.js';
import { EVALUATIONS_FOLDER, writeEvaluation } from '../eval/results.js';
import {
  readAnswers,
  readJudgments,
  readPersonaFile,
  userEvalFiles,
  userEvalFolder,
} from '../eval/user-eval/files.js';
import { newCommand, numberFlag, print, printJson, wholeNumber } from './command.js';
import { formatTable } from './format.js';
import { withInterrupt } from './interrupt.js';

interface StudyFlags {
  evaluation: string;
  turns: number;
  shared: number;
  seed: number;
  hidePersonas?: boolean;
  host: string;
  port: number;
  results?: boolean;
  json?: boolean;
}

const VOTES_FILE = 'votes.jsonl';

export function humanStudyCommand(): Command {
  return newCommand(
    'human-study',
    {
      summary: 'let people judge the answers of a user-eval, blind',
      description:
        "Serves a page on which people see a request and two answers, the model's and the log's, in random order, and vote " +
        'by key or click. Everybody gets a sheet of their own, with some turns the same for all; whoever comes back goes on ' +
        'where they stopped. Votes are kept as they are given, in RUN/evaluations/human-study. --results gives the win ' +
        'rate and how far people agree, with one another and with the judge.',
      examples: [
        ['persona-dpo evaluate human-study runs/mine'],
        ['persona-dpo evaluate human-study runs/mine --results', 'what came of it'],
        [
          'persona-dpo evaluate human-study runs/mine --host 0.0.0.0 --port 8100',
          'open to everybody who reaches this machine: the texts are those of the log',
        ],
      ],
    },
    { json: 'with --results: print them as JSON' },
  )
    .argument('<RUN>', "a run's folder, in which `evaluate user-eval` was done")
    .option('--evaluation <NAME>', 'which one: user-eval, user-eval-persona-guided', 'user-eval')
    .option(
      '--turns <NUMBER>',
      'turns that one person judges',
      numberFlag('a whole number from 1', wholeNumber(1)),
      50,
    )
    .option(
      '--shared <NUMBER>',
      'so many of them the same for everybody',
      numberFlag('a whole number from 0', wholeNumber(0)),
      10,
    )
    .option('--seed <NUMBER>', 'deals other sheets', numberFlag('a whole number from 0', wholeNumber(0)), 0)
    .option('--hide-personas', 'do not show what is known of the users')
    .option('--host <HOST>', 'address to listen on', '127.0.0.1')
    .option(
      '--port <NUMBER>',
      'port to listen on; 0 for any',
      numberFlag('a whole number from 0', wholeNumber(0)),
      8100,
    )
    .option('--results', 'print what came of it, and put it where the report finds it')
    .action((run: string, flags: StudyFlags) =>
      flags.results === true ? showResults(run, flags) : serve(run, flags),
    );
}

function filesOf(run: string, { evaluation }: StudyFlags) {
  const folder = userEvalFolder(run, evaluation);
  const answers = join(folder, userEvalFiles.answers);
  if (!existsSync(answers)) {
    throw new ConfigError(
      `${run} holds no ${evaluation}: do \`persona-dpo evaluate user-eval --output ${run}\` first`,
    );
  }
  return {
    answers,
    judgments: join(folder, userEvalFiles.judgments),
    personas: join(folder, userEvalFiles.personas),
    votes: join(run, EVALUATIONS_FOLDER, 'human-study', VOTES_FILE),
  };
}

async function serve(run: string, flags: StudyFlags): Promise<void> {
  const files = filesOf(run, flags);
  const { turns, shared, seed, host, port, hidePersonas } = flags;
  const study = await startStudy(
    {
      ...{ turns, shared: Math.min(shared, turns), seed, votes: files.votes },
      answers: await readAnswers(files.answers),
      ...(hidePersonas === true ? {} : { personas: await readPersonaFile(files.personas) }),
    },
    { host, port },
  );
  print(`The study is at ${study.url}\nVotes go to ${files.votes}. Ctrl-C ends it.`);
  await withInterrupt(
    (signal) => new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())),
    () => undefined,
  );
  await study.stop();
}

async function showResults(run: string, flags: StudyFlags): Promise<void> {
  const files = filesOf(run, flags);
  const votes = readVotes(files.votes);
  if (votes.length === 0) throw new ConfigError(`nobody has voted yet: there are no votes in ${files.votes}`);
  const judgments = existsSync(files.judgments) ? await readJudgments(files.judgments) : [];
  const results = studyResults(votes, judgments, { seed: flags.seed });
  const file = await writeEvaluation(run, studyEvaluation(results, flags.evaluation));
  if (flags.json === true) printJson(results);
  else print(`${describe(results)}\nWritten to ${file}`);
}

function describe({ winRate, participants, agreement, withJudge, leftShare, votes }: StudyResults): string {
  const percent = (share: number) => `${(100 * share).toFixed(1)}%`;
  const total = votes.answer + votes.original + votes.tie;
  return [
    formatTable([
      ['participant', 'win rate', 'votes', 'seconds a vote'],
      ...participants.map((each) => [
        each.name,
        percent(each.winRate),
        String(each.votes),
        each.medianSeconds.toFixed(1),
      ]),
    ]),
    `Win rate ${percent(winRate.estimate)} (${percent(winRate.low)} to ${percent(winRate.high)}) of ${total} votes; ` +
      `${percent(leftShare)} for the left side.`,
    agreement === null
      ? 'No turn was judged by two people: agreement is not known.'
      : `People agree on ${percent(agreement.share)} of ${agreement.pairs} pairs of votes (alpha ${agreement.alpha.toFixed(2)}).`,
    ...(withJudge === null
      ? []
      : [`They agree with the judge on ${percent(withJudge.share)} of ${withJudge.votes} votes.`]),
  ].join('\n');
}
