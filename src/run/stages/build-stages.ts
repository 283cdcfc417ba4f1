/** The stages of a run out of its configuration, each with where it reads what. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../errors.js';
import type { RunOnlineOptions } from '../config/online-section.js';
import type { RunStage, StageInput } from '../stage.js';
import { candidatesStage } from './candidates-stage.js';
import { classifyStage } from './classify-stage.js';
import { conversationsStage } from './conversations-stage.js';
import { mathStage } from './math-stage.js';
import { onlineStage } from './online-stage.js';
import { type PairInputs, POOL_FILE, pairsStage } from './pairs-stage.js';
import { personasStage } from './personas-stage.js';
import { promptsStage } from './prompts-stage.js';
import { rankStage } from './rank-stage.js';
import { reconstructStage } from './reconstruct-stage.js';
import { rewriteStage } from './rewrite-stage.js';
import {
  fileInput,
  type HandingStage,
  type InputName,
  type StageSetup,
  stageFiles,
  stageInput,
} from './setup.js';
import { trainStage } from './train-stage.js';
import { usersStage } from './users-stage.js';

/** Stages whose files an input can be, the one to be preferred first. */
const WRITERS: Readonly<Record<InputName, readonly HandingStage[]>> = {
  conversations: ['reconstruct', 'conversations'],
  classified: ['classify'],
  users: ['users'],
  personas: ['personas'],
  math: ['math'],
  rewrites: ['rewrite'],
  prompts: ['prompts'],
  candidates: ['candidates'],
  rankings: ['rank'],
};

/**
 * The stages that are to be done, in their order. A stage reads what the stages before it write; one that is done
 * alone reads a file that is given, or what lies in the folder from an earlier time.
 *
 * @throws ConfigError where a stage has nothing to read, or a template cannot be used
 */
export function buildStages(setup: StageSetup): RunStage[] {
  const { sections, train, online } = setup.config;
  const stages: RunStage[] = [];
  if (sections.conversations !== null) stages.push(conversationsStage(setup, sections.conversations));
  if (sections.reconstruct !== null) {
    stages.push(reconstructStage(setup, sections.reconstruct, rawConversations(setup)));
  }
  if (sections.classify !== null) {
    stages.push(classifyStage(setup, sections.classify, needed('conversations', 'classify', setup)));
  }
  if (sections.users !== null) stages.push(usersStage(setup, sections.users, logsFor('users', setup)));
  if (sections.personas !== null) {
    const inputs = { ...logsFor('personas', setup), users: inputFor('users', setup) };
    stages.push(personasStage(setup, sections.personas, inputs));
  }
  if (sections.math !== null) stages.push(mathStage(sections.math));
  if (sections.rewrite !== null) stages.push(rewriteStage(setup, sections.rewrite, rewriteInputs(setup)));
  if (sections.prompts !== null) {
    const inputs = { users: inputFor('users', setup), personas: inputFor('personas', setup) };
    stages.push(promptsStage(setup, sections.prompts, { ...logsFor('prompts', setup), ...inputs }));
  }
  if (sections.candidates !== null) {
    stages.push(candidatesStage(setup, sections.candidates, needed('prompts', 'candidates', setup)));
  }
  if (sections.rank !== null) {
    stages.push(rankStage(setup, sections.rank, needed('candidates', 'rank', setup)));
  }
  if (sections.pairs !== null) stages.push(pairsStage(setup, sections.pairs, pairInputs(setup)));
  if (train !== null) stages.push(trainStage(setup, train, stageInput('pairs', 'pairs', setup)));
  if (online !== null) stages.push(onlineStage(setup, online, onlinePrompts(online, setup)));
  return stages;
}

function inputFor(name: InputName, setup: StageSetup): StageInput | null {
  const { given, config, folder, alone } = setup;
  const path = given[name];
  if (path !== undefined) return fileInput(name, path);
  const writer = WRITERS[name].find(
    (stage) =>
      config.sections[stage] !== null || (alone && existsSync(join(folder.stage(stage), stageFiles[stage]))),
  );
  return writer === undefined ? null : stageInput(name, writer, setup);
}

function needed(name: InputName, stage: string, setup: StageSetup): StageInput {
  const input = inputFor(name, setup);
  if (input !== null) return input;
  const [writer] = WRITERS[name];
  throw new ConfigError(
    `${stage} reads ${name}, and ${setup.folder.path} holds none: give --${name} FILE, or make them first by ` +
      `persona-dpo ${name === 'conversations' ? 'conversations' : writer} --output ${setup.folder.path}`,
  );
}

function logsFor(stage: string, setup: StageSetup): { conversations: StageInput; classified: StageInput } {
  return {
    conversations: needed('conversations', stage, setup),
    classified: needed('classified', stage, setup),
  };
}

/** What reconstruction reads: never its own result. */
function rawConversations(setup: StageSetup): StageInput {
  const { given } = setup;
  return given.conversations === undefined
    ? stageInput('conversations', 'conversations', setup)
    : fileInput('conversations', given.conversations);
}

/** Rewrites, rankings, or both; of a stage alone, those that are given where any are. */
function pairInputs(setup: StageSetup): PairInputs {
  const { given, alone } = setup;
  const isChosen = (name: 'rewrites' | 'rankings') =>
    !alone || given[name] !== undefined || (given.rewrites === undefined && given.rankings === undefined);
  const rankings = isChosen('rankings') ? inputFor('rankings', setup) : null;
  const rewrites = isChosen('rewrites') ? inputFor('rewrites', setup) : null;
  return { rewrites: rewrites ?? (rankings === null ? needed('rewrites', 'pairs', setup) : null), rankings };
}

function onlinePrompts({ pool }: RunOnlineOptions, setup: StageSetup): StageInput {
  if (pool !== 'curated') return needed('prompts', 'online', setup);
  const files = async () => [join(setup.folder.stage('pairs'), POOL_FILE)];
  return { name: 'pool', from: 'pairs', files };
}

function rewriteInputs(setup: StageSetup) {
  const { rewrite, math: ownMath } = setup.config.sections;
  // With the log's own answers no model is asked, unless the run itself has math conversations.
  const math = rewrite?.source === 'logged' && ownMath === null ? null : inputFor('math', setup);
  const hasLogs = inputFor('conversations', setup) !== null || inputFor('classified', setup) !== null;
  return {
    logs: hasLogs || math === null ? logsFor('rewrite', setup) : null,
    users: inputFor('users', setup),
    personas: inputFor('personas', setup),
    math,
  };
}
