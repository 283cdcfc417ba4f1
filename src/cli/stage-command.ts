import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { chatModelOptionsSchema } from '../llm/chat-model-options.js';
import type { ThresholdPreview } from '../pairs/filter/preview.js';
import { rewardModelOptionsSchema } from '../rewards/reward-options.js';
import { isAsking, type SectionName, sectionSchemas } from '../run/config/sections.js';
import type { RunSummary } from '../run/pipeline.js';
import type { PairPreviews } from '../run/stages/pairs-stage.js';
import type { InputName } from '../run/stages/setup.js';
import { newCommand, print, printJson, readTextFlag } from './command.js';
import { EXIT_INTERRUPTED } from './exit-codes.js';
import { formatTable } from './format.js';
import { withRunProgress } from './run-command.js';
import { describeCounts } from './run-display.js';
import { addSchemaFlags, readSchemaFlags } from './schema-flags.js';
import type { StageCommandHelp } from './stage-command-help.js';

interface StageFlags extends Partial<Record<InputName, string>> {
  output: string;
  personaTemplate?: string;
  json?: boolean;
}

/** Files given as arguments rather than by a flag. */
const ARGUMENT = 'input';

/** A command that does one stage of a run by itself, with flags from the stage's options. */
export function stageCommand(help: StageCommandHelp): Command {
  const { stage, input, given } = help;
  const command = newCommand(stage, help, { json: 'print events and the result as lines of JSON' });
  if (input !== undefined) command.argument('<INPUT...>', input);
  command.requiredOption('--output <DIR>', "the run's folder, in which the stage has a folder of its own");
  for (const name of given) command.option(`--${name} <FILE>`, `read the ${name} from this file`);
  if (stage === 'rewrite' || stage === 'candidates') {
    command.option('--persona-template <FILE>', 'Jinja template that puts the persona into words');
  }
  command.optionsGroup('Stage:');
  addSchemaFlags(command, sectionSchemas[stage], { without: [ARGUMENT] });
  if (isAsking(stage)) {
    command.optionsGroup('Language model:');
    addSchemaFlags(command, chatModelOptionsSchema, { prefix: 'llm' });
  }
  if (takesReward(stage)) {
    command.optionsGroup('Reward model:');
    addSchemaFlags(command, rewardModelOptionsSchema, { prefix: 'reward' });
  }
  return command.action(async (...parameters: unknown[]) => {
    const files = input === undefined ? [] : (parameters[0] as string[]);
    await runStage(help, command, files);
  });
}

function takesReward(stage: SectionName): boolean {
  return stage === 'rank' || stage === 'pairs';
}

async function runStage(help: StageCommandHelp, command: Command, files: readonly string[]): Promise<void> {
  const { stage } = help;
  const flags = command.opts<StageFlags>();
  const [{ resolveStageConfig }, { runAlone }] = await Promise.all([
    import('../run/config/run-config.js'),
    import('../run/pipeline.js'),
  ]);
  const options = readSchemaFlags(command, sectionSchemas[stage], { without: [ARGUMENT] });
  const llm = isAsking(stage) ? modelFlags(command) : {};
  const reward = takesReward(stage)
    ? readSchemaFlags(command, rewardModelOptionsSchema, { prefix: 'reward' })
    : {};
  const config = resolveStageConfig(stage, {
    outputDir: flags.output,
    ...(flags.personaTemplate === undefined ? {} : { personaTemplate: flags.personaTemplate }),
    ...(Object.keys(llm).length === 0 ? {} : { llm: llm as never }),
    ...(Object.keys(reward).length === 0 ? {} : { reward: reward as never }),
    options: { ...options, ...(help.input === undefined ? {} : { [ARGUMENT]: [...files] }) },
  });
  const given = Object.fromEntries(
    help.given.flatMap((name) => (flags[name] === undefined ? [] : [[name, flags[name]]])),
  );
  const json = flags.json === true;
  const summary = await withRunProgress(json, [], (hooks) => runAlone(config, { given }, hooks));
  if (summary.outcome === 'interrupted') process.exitCode = EXIT_INTERRUPTED;
  if (json) printJson({ type: 'summary', ...summary });
  else print(await describeStage(help, summary));
}

/** The model's flags; an address makes it a server, where no kind is given. */
function modelFlags(command: Command): Record<string, unknown> {
  const given = readSchemaFlags(command, chatModelOptionsSchema, { prefix: 'llm' });
  if (Object.keys(given).length === 0 || given.kind !== undefined) return given;
  return { kind: given.baseUrl === undefined ? 'local' : 'server', ...given };
}

async function describeStage({ stage }: StageCommandHelp, summary: RunSummary): Promise<string> {
  const { folder, outcome, stages } = summary;
  if (outcome === 'interrupted') return 'Stopped; the same command again goes on without asking twice.';
  const lines = stages.flatMap(({ counts }) => (counts ?? []).map(describeCounts));
  const place = join(folder, stage);
  if (stage === 'classify') lines.push(...(await classificationTables(place)));
  if (stage === 'rank') lines.push(...(await rankingTable(place)));
  if (stage === 'pairs') lines.push(...(await thresholdTables(place)));
  lines.push('', `Written into ${place}: the rows, dropped.jsonl, manifest.json.`);
  return lines.join('\n');
}

async function classificationTables(folder: string): Promise<string[]> {
  const [{ describeClassification }, { STATISTICS_FILE }] = await Promise.all([
    import('../pairs/classify/describe-statistics.js'),
    import('../run/stages/classify-stage.js'),
  ]);
  const statistics = readJson(join(folder, STATISTICS_FILE));
  return describeClassification(statistics as never).flatMap(({ title, rows }) => [
    '',
    title,
    formatTable(rows),
  ]);
}

async function rankingTable(folder: string): Promise<string[]> {
  const [{ describeRanking }, { RANKING_REPORT_FILE }] = await Promise.all([
    import('../run/ranking-report.js'),
    import('../run/stages/rank-stage.js'),
  ]);
  const path = join(folder, RANKING_REPORT_FILE);
  return existsSync(path) ? ['', ...describeRanking(readJson(path) as never, formatTable)] : [];
}

async function thresholdTables(folder: string): Promise<string[]> {
  const [{ describePreview }, { PREVIEW_FILE }] = await Promise.all([
    import('../pairs/filter/preview.js'),
    import('../run/stages/pairs-stage.js'),
  ]);
  const { rewrites, rankings } = readJson(join(folder, PREVIEW_FILE)) as PairPreviews;
  const table = (title: string, preview: ThresholdPreview | undefined) =>
    preview === undefined ? [] : ['', title, formatTable(describePreview(preview))];
  return [
    ...table('What each threshold would keep of the rewrites:', rewrites),
    ...table('What each threshold would keep of the pairs by rewards:', rankings),
  ];
}

function readJson(path: string): unknown {
  return JSON.parse(readTextFlag(path, 'the result'));
}
