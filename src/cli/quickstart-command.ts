import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Tokenizer } from '../data/tokenizer.js';
import type { TextCompletion } from '../models/generation/generate-text.js';
import type { ResolvedTrainOptions } from '../train/options.js';
import { answer } from './answers.js';
import { newCommand, print, printJson, readTextFlag } from './command.js';
import { EXIT_INTERRUPTED } from './exit-codes.js';
import { formatSeconds, formatTable } from './format.js';
import { type BeforeAfter, compareHeldOut, type HeldOutScores, type ScoredPair } from './held-out.js';
import { type OpenModel, openModel } from './open-model.js';
import { createProgress, type Progress } from './progress.js';
import {
  newRunFolder,
  quickstartFolder,
  sharedRequest,
  type UserPair,
  userPairs,
} from './quickstart-data.js';
import { obtainQuickstartModel } from './quickstart-model.js';
import { installProgress } from './setup-command.js';
import { describeSummary, runTraining } from './train-command.js';
import { addTrainFlags, readTrainFlags } from './train-flags.js';
import { wrap } from './wrap.js';

interface QuickstartFlags {
  json?: boolean;
}

/** What the quickstart found; with `--json` this very object, and `results.json` in its folder. */
export interface QuickstartResults {
  outputDir: string;
  adapter: string;
  plot: string;
  trainingSeconds: number;
  all: HeldOutScores;
  usersInTraining: HeldOutScores;
  newUsers: HeldOutScores;
  samples: { user: string; persona: string; request: string; before: string; after: string }[];
}

/** Greedy answers show the model and not the draw; the penalty keeps so small a model out of its loops. */
const SAMPLING = { maxNewTokens: 120, temperature: 0, topK: 0, topP: 1, repetitionPenalty: 1.1, seed: 0 };

export function quickstartCommand(): Command {
  const command = newCommand(
    'quickstart',
    {
      summary: 'train a small model on example pairs and show what came of it',
      description:
        'Fetches what is missing (TensorFlow, SmolLM2-135M-Instruct), trains a LoRA adapter on the example pairs of ' +
        'the package, whose users want different things for the same request, and shows held-out accuracy and ' +
        'margin before and after, an answer before and after for two users, and a plot. All training options may ' +
        'be changed.',
      examples: [
        ['npx persona-dpo quickstart'],
        ['npx persona-dpo quickstart --num-train-epochs 1', 'a shorter run'],
        ['npx persona-dpo quickstart --persona false', 'what is lost without the personas'],
      ],
    },
    { json: 'print the results as JSON at the end' },
  );
  addTrainFlags(command);
  return command.action(async (flags: QuickstartFlags) => {
    const progress = createProgress();
    try {
      const results = await quickstart(command, progress);
      if (results === null) process.exitCode = EXIT_INTERRUPTED;
      else if (flags.json) printJson(results);
      else print(describeResults(results));
    } finally {
      progress.end();
    }
  });
}

/** Returns `null` when it was interrupted. */
async function quickstart(command: Command, progress: Progress): Promise<QuickstartResults | null> {
  const started = Date.now();
  const options = await prepare(command, progress);
  const { held, trained, spoken } = await readData(options);

  progress.line('Before training: the held-out pairs, and one request of two users.');
  const before = await look(options, undefined, held, spoken, progress);
  const summary = await runTraining(options, { progress });
  if (summary.weights === null) {
    print(describeSummary(summary));
    return null;
  }
  progress.line('After training: the same again.');
  const after = await look(options, summary.weights, held, spoken, progress);

  const plot = await drawPlot(options, trained.length, held.length);
  const users = new Set(trained.map(({ user }) => user));
  const compare = (wanted: (user: string) => boolean) => {
    const of = (scores: readonly ScoredPair[]) => scores.filter(({ user }) => wanted(user));
    return compareHeldOut(
      { neutral: of(before.neutral), before: of(before.scores), after: of(after.scores) },
      options,
    );
  };
  const results: QuickstartResults = {
    outputDir: options.outputDir,
    adapter: summary.weights.path,
    plot,
    trainingSeconds: summary.seconds,
    all: compare(() => true),
    usersInTraining: compare((user) => users.has(user)),
    newUsers: compare((user) => !users.has(user)),
    samples: spoken.map((pair, i) => ({
      user: pair.user,
      persona: pair.persona,
      request: pair.prompt.at(-1)?.content ?? '',
      before: before.answers[i]?.text ?? '',
      after: after.answers[i]?.text ?? '',
    })),
  };
  await writeFile(join(options.outputDir, 'results.json'), `${JSON.stringify(results, null, 2)}\n`);
  progress.line(`Everything took ${formatSeconds((Date.now() - started) / 1000)}.`);
  return results;
}

/** TensorFlow and the model are there afterwards; the options are those of the example with the flags over them. */
async function prepare(command: Command, progress: Progress): Promise<ResolvedTrainOptions> {
  const [{ optionsFromYaml, resolveFileOptions }, { setup }] = await Promise.all([
    import('../train/options.js'),
    import('../runtime/install/setup.js'),
  ]);
  const folder = quickstartFolder();
  const example = optionsFromYaml(
    readTextFlag(join(folder, 'config.yaml'), 'the example'),
    'config.yaml',
  ).options;
  const { options: given } = readTrainFlags(command, {});
  const options = {
    ...example,
    pairs: join(folder, 'pairs.jsonl'),
    evalPairs: join(folder, 'held-out.jsonl'),
    outputDir: newRunFolder(),
    ...given,
  };
  // What the user got wrong is told before anything is fetched.
  resolveFileOptions({ ...options, model: given.model ?? 'to be found' });
  await setup({ device: options.device ?? 'auto', onProgress: installProgress(progress) }).finally(() =>
    progress.end(),
  );
  return resolveFileOptions({ ...options, model: given.model ?? (await obtainQuickstartModel(progress)) });
}

interface Data {
  trained: UserPair[];
  held: UserPair[];
  /** One request that two users made, with what each wants. */
  spoken: UserPair[];
}

async function readData({ pairs, evalPairs }: ResolvedTrainOptions): Promise<Data> {
  const { readPairs } = await import('../data/read-pairs.js');
  const read = async (files: readonly string[]) =>
    (await Promise.all(files.map(async (file) => userPairs((await readPairs(file)).pairs)))).flat();
  const held = await read(evalPairs ?? []);
  return { trained: await read(pairs), held, spoken: sharedRequest(held) ?? held.slice(0, 2) };
}

interface Look {
  /** The held-out pairs with their personas. */
  scores: ScoredPair[];
  /** The same without, of the untrained model only. */
  neutral: ScoredPair[];
  answers: TextCompletion[];
}

/** Scores the held-out pairs and answers the shared request, with the trained weights if there are any. */
async function look(
  options: ResolvedTrainOptions,
  weights: { kind: 'adapter' | 'model'; path: string } | undefined,
  held: readonly UserPair[],
  spoken: readonly UserPair[],
  progress: Progress,
): Promise<Look> {
  const { dtype, device, threads } = options;
  const opened = await openModel(
    {
      model: weights?.kind === 'model' ? weights.path : options.model,
      ...(weights?.kind === 'adapter' ? { adapter: weights.path } : {}),
      ...(threads === null ? {} : { threads }),
      dtype,
      device,
    },
    progress,
  );
  try {
    const scores = await score(opened, held, options, progress);
    const neutral =
      weights === undefined ? await score(opened, held, { ...options, persona: false }, progress) : [];
    const questions = spoken.map(({ prompt, persona }) => ({
      messages: prompt,
      persona: options.persona ? persona : undefined,
    }));
    const answers = await answer(opened, questions, SAMPLING, { personaTemplate: await templateOf(options) });
    return { scores, neutral, answers: answers.flatMap(([first]) => (first === undefined ? [] : [first])) };
  } finally {
    opened.dispose();
  }
}

async function templateOf({ personaTemplate }: ResolvedTrainOptions) {
  const { createPersonaTemplate, loadPersonaTemplate } = await import('../data/persona-prompt.js');
  return personaTemplate === null ? createPersonaTemplate() : loadPersonaTemplate(personaTemplate);
}

async function score(
  { model, tokenizer }: OpenModel,
  held: readonly UserPair[],
  options: ResolvedTrainOptions,
  progress: Progress,
): Promise<ScoredPair[]> {
  const { pairLogps } = await import('../train/pair-logps.js');
  const tokenized = await tokenizeHeldOut(held, tokenizer, options);
  const scores: ScoredPair[] = [];
  for await (const { pair, chosenLogps, rejectedLogps } of pairLogps(model, tokenized)) {
    scores.push({
      user: pair.user ?? '',
      chosenLogp: sum(chosenLogps),
      rejectedLogp: sum(rejectedLogps),
      chosenTokens: chosenLogps.length,
      rejectedTokens: rejectedLogps.length,
    });
    progress.update(
      'held-out pairs',
      scores.length,
      tokenized.length,
      `${scores.length}/${tokenized.length}`,
    );
  }
  progress.end();
  return scores;
}

async function tokenizeHeldOut(
  held: readonly UserPair[],
  tokenizer: Tokenizer,
  options: ResolvedTrainOptions,
) {
  const { tokenizePairs } = await import('../data/tokenize.js');
  const asked = options.persona ? held : held.map(({ persona: _, ...pair }) => pair);
  const { maxLength, maxPromptLength, truncationMode } = options;
  return tokenizePairs(asked, tokenizer, {
    maxLength,
    maxPromptLength,
    truncationMode,
    personaTemplate: await templateOf(options),
  }).tokenized;
}

function sum(values: Float32Array): number {
  return values.reduce((total, value) => total + value, 0);
}

async function drawPlot(options: ResolvedTrainOptions, trained: number, held: number): Promise<string> {
  const [{ readMetrics }, { writeTrainingPlot }] = await Promise.all([
    import('../report/metrics-file.js'),
    import('../report/training-plot.js'),
  ]);
  const rows = readMetrics(join(options.outputDir, 'metrics.jsonl'));
  const onlySigmoid = options.lossType.length === 1 && options.lossType[0] === 'sigmoid';
  const { png } = await writeTrainingPlot(rows, join(options.outputDir, 'training'), {
    title: `Persona-DPO of SmolLM2-135M-Instruct${options.usePeft ? ' (LoRA)' : ''}`,
    subtitle: `${trained} preference pairs; ${held} held out, of the same and of other users`,
    ...(onlySigmoid ? { untrainedLoss: Math.LN2 } : {}),
  });
  return png;
}

export function describeResults(results: QuickstartResults): string {
  const percent = (share: number) => `${Math.round(100 * share)}%`;
  const { all, usersInTraining, newUsers } = results;
  const nats = (value: number) => value.toFixed(1);
  const share = (label: string, { before, after }: BeforeAfter) => [label, percent(before), percent(after)];
  const table = formatTable([
    ['On held-out pairs', 'before', 'after'],
    share('the persona moves the model towards the preferred answer', all.accuracy),
    share(`  for users seen in training (${usersInTraining.pairs} pairs)`, usersInTraining.accuracy),
    share(`  for users never seen (${newUsers.pairs} pairs)`, newUsers.accuracy),
    ['by how much, in nats', nats(all.pull.before), nats(all.pull.after)],
    ["reward accuracy, TRL's, against the untrained model", percent(0.5), percent(all.rewardAccuracy)],
    ['reward margin', '0.00', all.rewardMargin.toFixed(2)],
    share('the preferred answer is the likelier one per token', all.likelier),
  ]);
  const indent = '    ';
  const samples = results.samples.flatMap(({ user, persona, before, after }) => [
    `${user} wants:`,
    wrap(persona, { indent }),
    '  before:',
    wrap(before, { indent }),
    '  after:',
    wrap(after, { indent }),
    '',
  ]);
  const { adapter, plot, outputDir } = results;
  return [
    '',
    table,
    '',
    `The same request of two users: ${results.samples[0]?.request ?? ''}`,
    '',
    ...samples,
    `Plot:    ${plot}`,
    `Adapter: ${adapter}   Options: ${join(outputDir, 'config.yaml')}`,
    '',
    'Next, with your own data: write a JSONL file like examples/quickstart/pairs.jsonl (prompt, chosen, rejected,',
    'persona, user), then',
    '  npx persona-dpo train --model HuggingFaceTB/SmolLM2-135M-Instruct --pairs YOURS.jsonl --output out --use-peft \\',
    '    --learning-rate 5e-4 --eval-split 0.1 --eval-strategy epoch',
    '  npx persona-dpo chat --model HuggingFaceTB/SmolLM2-135M-Instruct --adapter out/adapter --persona "- ..."',
  ].join('\n');
}
