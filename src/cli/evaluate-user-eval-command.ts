import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { loadPersonaTemplate as loadPersonaPrompt } from '../data/persona-prompt.js';
import type { Dropped } from '../data/tally.js';
import { ConfigError } from '../errors.js';
import { type AskedTokens, type AskingEstimate, withCost } from '../eval/estimate.js';
import { EVALUATIONS_FOLDER } from '../eval/results.js';
import { estimateUserEval, type UserEvalEstimate } from '../eval/user-eval/estimate.js';
import { readPersonaFile, writeUserEval } from '../eval/user-eval/files.js';
import { judgeTemplates } from '../eval/user-eval/judge-templates.js';
import { AXES, type Axis, userEvalOptionsSchema } from '../eval/user-eval/options.js';
import { sampleUsers } from '../eval/user-eval/sample-users.js';
import { type UserEvalOutcome, userEval } from '../eval/user-eval/user-eval.js';
import type { AxisResult } from '../eval/user-eval/win-rates.js';
import type { ResolvedChatModelOptions } from '../llm/chat-model-options.js';
import { checkOptions } from '../pairs/check-options.js';
import { loadPersonaTemplate } from '../pairs/prompts/persona.js';
import { newCommand, print, printJson } from './command.js';
import { addDryRunFlags, type DryRunFlags } from './dry-run-flags.js';
import { describeAsking } from './evaluation-display.js';
import { addChatModelFlags, chatModelFlags, openEvaluationModel } from './evaluation-model.js';
import { EXIT_INTERRUPTED } from './exit-codes.js';
import { formatTable } from './format.js';
import { withInterrupt } from './interrupt.js';
import { createProgress, type Progress } from './progress.js';
import { describeCounts } from './run-display.js';
import { addSchemaFlags, readSchemaFlags } from './schema-flags.js';

interface UserEvalFlags
  extends DryRunFlags,
    Partial<Record<`${'personalization' | 'instructionFollowing' | 'userEval'}Template`, string>> {
  conversations?: string;
  output: string;
  personas?: string;
  personaTemplate?: string;
  personaInferenceTemplate?: string;
  json?: boolean;
}

const FILE = 'evaluation.parquet';

export function userEvalCommand(): Command {
  const command = newCommand(
    'user-eval',
    {
      summary: "answers to real users, judged against the log's own (WildChat UserEval)",
      description:
        'Lets a model answer every user message of the held-out conversations of a log, and a judge decide between its ' +
        "answer and the log's own: how well each suits the user, follows the request, and what the user would rather " +
        'have. Each pair is judged in both orders; win rates have intervals by drawing users anew. Replies are kept: the ' +
        'same command again asks nothing twice. The result lies in OUTPUT/evaluations, where `persona-dpo report` finds it.',
      examples: [
        [
          'persona-dpo evaluate user-eval --output runs/mine --model meta-llama/Llama-3.1-8B-Instruct --adapter runs/mine/train/adapter --judge-base-url https://api.openai.com/v1 --judge-model o3',
          "a run's adapter, on the users that the run has held out",
        ],
        [
          'persona-dpo evaluate user-eval --output eval/base --conversations runs/mine/conversations/evaluation.parquet --model ./base --inference persona-guided --judge-base-url http://127.0.0.1:8000/v1 --judge-model judge',
          'persona-guided inference, with a judge on this machine',
        ],
        [
          'persona-dpo evaluate user-eval --output eval/base --conversations evaluation.parquet --model ./base --dry-run',
          'what would be asked',
        ],
      ],
    },
    { json: 'print the result as JSON' },
  )
    .requiredOption('--output <DIR>', "a run's folder, or one of its own for the evaluation")
    .option('--conversations <FILE>', `what ingesting wrote as ${FILE} (default: that of the run in OUTPUT)`)
    .option('--personas <FILE>', 'JSONL rows with user and persona: nothing is inferred then')
    .option('--persona-template <FILE>', 'Jinja template that puts the persona into the prompt of the model')
    .option('--persona-inference-template <FILE>', 'Jinja template that asks for a persona');
  addDryRunFlags(command);
  for (const axis of AXES)
    command.option(`--${axis}-template <FILE>`, `Jinja template of the judge of ${axis}`);
  addSchemaFlags(command.optionsGroup('Evaluation:'), userEvalOptionsSchema);
  addChatModelFlags(command, 'The model that answers:');
  addChatModelFlags(command, 'The judge (default: the model that answers):', { prefix: 'judge' });
  return command.action(async (flags: UserEvalFlags) => {
    const progress = createProgress();
    await withInterrupt(
      (signal) => evaluate(command, flags, progress, signal),
      () => progress.line('Stopping; the same command again goes on without asking twice.'),
    )
      .catch((error: unknown) => {
        if ((error as Error).name !== 'AbortError') throw error;
        process.exitCode = EXIT_INTERRUPTED;
      })
      .finally(() => progress.end());
  });
}

async function evaluate(
  command: Command,
  flags: UserEvalFlags,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { output, json } = flags;
  const given = readSchemaFlags(command, userEvalOptionsSchema);
  const options = checkOptions(userEvalOptionsSchema, given, 'user-eval');
  const conversations = conversationsOf(flags);
  if (flags.dryRun === true) {
    const { users } = await sampleUsers(conversations, options.users, { seed: options.seed, signal });
    showEstimate(command, estimateUserEval(users, options), flags);
    return;
  }
  const models = modelsOf(command);
  const settings = {
    ...options,
    conversations,
    templates: judgeTemplates(templateFiles(flags)),
    ...(flags.personas === undefined ? {} : { personas: await readPersonaFile(flags.personas) }),
    ...(flags.personaTemplate === undefined
      ? {}
      : { personaPrompt: loadPersonaPrompt(flags.personaTemplate) }),
    ...(flags.personaInferenceTemplate === undefined
      ? {}
      : { personaInference: loadPersonaTemplate(flags.personaInferenceTemplate) }),
  };
  const opening = { folder: join(output, EVALUATIONS_FOLDER), progress, signal };
  const model = await openEvaluationModel(models.model, opening);
  try {
    const judge = models.judge === null ? model : await openEvaluationModel(models.judge, opening);
    try {
      const dropped: Dropped[] = [];
      const outcome = await userEval(
        { ...settings, model, judge },
        {
          signal,
          onProgress: ({ done, total, text = '' }) => progress.update('evaluating', done, total, text),
          onNotice: (message) => progress.line(message),
          onDrop: (drop) => dropped.push(drop),
        },
      );
      progress.end();
      const file = await writeUserEval(output, outcome, dropped);
      if (json === true) printJson(outcome.result);
      else print(describe(outcome, file));
    } finally {
      if (judge !== model) await judge.dispose();
    }
  } finally {
    await model.dispose();
  }
}

function conversationsOf({ conversations, output }: UserEvalFlags): string {
  if (conversations !== undefined) return conversations;
  const ofRun = join(output, 'conversations', FILE);
  if (existsSync(ofRun)) return ofRun;
  throw new ConfigError(`give --conversations FILE: there is no ${ofRun}`);
}

function modelsOf(command: Command): {
  model: ResolvedChatModelOptions;
  judge: ResolvedChatModelOptions | null;
} {
  const model = chatModelFlags(command);
  if (model === undefined) throw new ConfigError('give --model MODEL, the model that answers');
  return { model, judge: chatModelFlags(command, { prefix: 'judge' }) ?? null };
}

function templateFiles(flags: UserEvalFlags): Partial<Record<Axis, string>> {
  const { personalizationTemplate, instructionFollowingTemplate, userEvalTemplate } = flags;
  return {
    ...(personalizationTemplate === undefined ? {} : { personalization: personalizationTemplate }),
    ...(instructionFollowingTemplate === undefined
      ? {}
      : { 'instruction-following': instructionFollowingTemplate }),
    ...(userEvalTemplate === undefined ? {} : { 'user-eval': userEvalTemplate }),
  };
}

/** What would be asked of each model. */
function showEstimate(
  command: Command,
  { users, turns, ...asked }: UserEvalEstimate,
  { json, tokensPerSecond }: UserEvalFlags,
): void {
  const answers = chatModelFlags(command);
  const judges = chatModelFlags(command, { prefix: 'judge' }) ?? answers;
  const priced = (tokens: AskedTokens, options: ResolvedChatModelOptions | undefined): AskingEstimate =>
    options === undefined ? { ...tokens, cost: null } : withCost(tokens, options);
  const [model, judge] = [priced(asked.model, answers), priced(asked.judge, judges)];
  if (json === true) {
    printJson({ users, turns, model, judge });
    return;
  }
  print(`${turns} turns of ${users} users.`);
  print(`The model: ${describeAsking(model, tokensPerSecond)}`);
  print(`The judge: ${describeAsking(judge, tokensPerSecond)}`);
}

function describe({ axes, tallies }: UserEvalOutcome, file: string): string {
  const head = ['axis', 'win rate', '', 'initial', 'follow-up', 'turns', 'first place', 'consistent'];
  return [
    formatTable([head, ...axes.map(axisCells)]),
    ...tallies.map((tally) => describeCounts(tally.counts())),
    `Written to ${file}`,
  ].join('\n');
}

function axisCells({
  axis,
  all,
  initial,
  followUp,
  turns,
  firstPlaceShare,
  consistency,
}: AxisResult): string[] {
  return [
    axis,
    percent(all.estimate),
    `${percent(all.low)} to ${percent(all.high)}`,
    percent(initial.estimate),
    percent(followUp.estimate),
    String(turns.all),
    percent(firstPlaceShare),
    percent(consistency),
  ];
}

function percent(share: number): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(1)}%` : '-';
}
