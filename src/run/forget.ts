/** Takes everything of one user out of a run. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../data/atomic-write.js';
import { readConversations } from '../data/conversations/conversation-file.js';
import { placeOfPrompt } from '../pairs/candidates/ids.js';
import { promptOptionsSchema, promptTypes } from '../pairs/candidates/options.js';
import { classificationStatistics } from '../pairs/classify/statistics.js';
import { isRankingSource } from '../pairs/rank/candidate-of-ranking.js';
import { outputFiles } from '../train/output-folder.js';
import { FileHashes } from './file-hashes.js';
import { forgetInEvaluations } from './forget-evaluations.js';
import { Forgotten } from './forgotten.js';
import { MANIFEST_FILE, type Manifest, manifestText } from './manifest.js';
import { RunModels } from './models.js';
import { fileOutput } from './output-file.js';
import { withRunLock } from './pipeline.js';
import { byReason, countsWithout, type Removed, type Row, removeRows } from './remove-rows.js';
import { removeReports } from './report/forget-reports.js';
import { readRows } from './row-files.js';
import { classifiedSchema } from './row-schemas.js';
import { DROPPED_FILE, existingRun, type RunFolder } from './run-folder.js';
import { isTraining, STAGE_NAMES } from './stage-names.js';
import { candidateFacts } from './stages/candidates-stage.js';
import { classifyFacts, STATISTICS_FILE } from './stages/classify-stage.js';
import { conversationFacts } from './stages/conversation-facts.js';
import { removeFromConversations } from './stages/conversations-stage.js';
import { pairFacts, RANKED_PAIRS } from './stages/pairs-stage.js';
import { promptFacts } from './stages/prompts-stage.js';
import { RANKING_REPORT_FILE, writeRankingReport } from './stages/rank-stage.js';
import { type HandingStage, stageFiles } from './stages/setup.js';
import { TRAINED_USERS_FILE, trainedUserHash } from './stages/train-stage.js';

/** Weights that were trained with pairs of a user. */
export interface TrainedWith {
  /** Folder of the adapter or model. */
  weights: string;
  pairs: number;
}

export interface ForgetResult {
  folder: string;
  /** Rows that were removed, by file. */
  removed: { file: string; rows: number }[];
  /** Kept replies of the model that were removed. */
  replies: number;
  /** Weights in which the user's pairs live on. */
  trained: TrainedWith[];
  /** Reports that were removed: they hold the words of all users, and can be written anew. */
  reports: string[];
}

/**
 * Removes everything of a user from a run and its trials: rows of every stage, traces of what was dropped, answers,
 * verdicts and votes of evaluations, what models replied to the user's words, and reports in the run's folder as a
 * whole. A salted hash of the user stays, so that a later run on the same logs leaves the user out. Manifests and
 * books are brought up to date, so that nothing of others is done again; training is, since its pairs have changed.
 *
 * What can't be removed: weights do not let go of single pairs, so adapters and models that were trained with the
 * user's pairs are named, to be deleted and trained anew. The logs themselves, copies of the run, reports elsewhere,
 * and the list of rows that could not be read (which holds ids and no text, and knows no users) are not touched. The
 * cache of reference log-probabilities holds numbers under hashes, and no text.
 *
 * @param user As the rows name the user
 * @throws ConfigError where there is no run; PersonaDpoError (`RUN_LOCKED`) when a process works in it
 */
export async function forgetUser(path: string, user: string): Promise<ForgetResult> {
  const main = existingRun(path);
  return await withRunLock(main, async () => {
    main.open();
    const forgotten = Forgotten.read(main.file('forgotten'));
    // First of all: should this end half-way, the next run leaves the user out all the same.
    await forgotten.add(user);
    const removed: ForgetResult['removed'] = [];
    const trained: TrainedWith[] = [];
    const reports: string[] = [];
    let judged = 0;
    for (const run of [main, ...main.limited()]) {
      run.open();
      const conversations = await conversationsOf(run, user);
      const isMeant = (row: Row) => belongsTo(row, user, conversations);
      removed.push(...(await forgetInRun(run, user, isMeant)));
      const evaluations = await forgetInEvaluations(run, user, isMeant);
      removed.push(...evaluations.removed);
      judged += evaluations.replies;
      reports.push(...removeReports(run));
      trained.push(...trainedWith(run, user));
    }
    const models = new RunModels({
      models: {},
      replies: main.file('replies'),
      secret: () => undefined,
      hub: {},
    });
    try {
      return { folder: path, removed, replies: judged + (await models.forget(user)), trained, reports };
    } finally {
      await models.dispose();
    }
  });
}

async function forgetInRun(
  run: RunFolder,
  user: string,
  isMeant: (row: Row) => boolean,
): Promise<ForgetResult['removed']> {
  const removed: ForgetResult['removed'] = [];
  const hashes = new FileHashes(run.file('hashes'));
  const books = new BooksWithout(run, hashes);
  for (const stage of STAGE_NAMES) {
    const folder = run.stage(stage);
    if (!existsSync(folder)) continue;
    const taken = isTraining(stage)
      ? await forgetInTraining(folder, isMeant)
      : await forgetInStage(stage, folder, user, isMeant);
    for (const [file, rows] of Object.entries(taken.files)) {
      if (rows.length > 0) removed.push({ file: join(folder, file), rows: rows.length });
    }
    if (!isTraining(stage)) await books.update(stage, taken);
  }
  await hashes.save();
  return removed;
}

/** Ids of the user's conversations, those that were dropped included. */
async function conversationsOf(run: RunFolder, user: string): Promise<Set<string>> {
  const ids = new Set<string>();
  for (const stage of ['conversations', 'reconstruct'] as const) {
    const path = join(run.stage(stage), stageFiles[stage]);
    if (!existsSync(path)) continue;
    for await (const { id } of readConversations(path, { users: [user] })) ids.add(id);
  }
  const dropped = join(run.stage('conversations'), DROPPED_FILE);
  if (existsSync(dropped)) {
    for await (const row of readRows(dropped, z.looseObject({ id: z.string() }))) {
      if (row.user === user) ids.add(row.id);
    }
  }
  return ids;
}

/** Whether a row is the user's: it says so, or names one of the user's conversations. */
function belongsTo(row: Row, user: string, conversations: ReadonlySet<string>): boolean {
  const { id, user: owner, conversation } = row;
  if (owner === user || id === user) return true;
  if (typeof conversation === 'string' && conversations.has(conversation)) return true;
  return typeof id === 'string' && (conversations.has(id) || conversations.has(id.replace(/:\d+$/, '')));
}

interface Taken {
  /** For each of the stage's books, by unit; for those that are not named it is `all`. */
  removed: { all: Removed; byUnit?: Record<string, Removed> };
  /** What was removed, by file; of Parquet files one empty row for each. */
  files: Record<string, Row[]>;
}

async function forgetInStage(
  stage: HandingStage,
  folder: string,
  user: string,
  isMeant: (row: Row) => boolean,
): Promise<Taken> {
  const file = stageFiles[stage];
  if (file.endsWith('.parquet')) {
    const removed = await removeFromConversations(folder, (each) => each === user);
    const dropped = Object.values(removed.dropped).reduce((sum, count) => sum + count, 0);
    const rows = (count: number) => Array.from({ length: count }, () => ({}));
    return { removed: { all: removed }, files: { [file]: rows(removed.out), [DROPPED_FILE]: rows(dropped) } };
  }
  const files: Taken['files'] = {};
  for (const name of readdirSync(folder).filter((each) => each.endsWith('.jsonl'))) {
    files[name] = await removeRows(join(folder, name), isMeant);
  }
  const [out, dropped] = [files[file] ?? [], files[DROPPED_FILE] ?? []];
  if (stage === 'classify' && out.length > 0) await writeStatistics(folder);
  if (stage === 'rank' && existsSync(join(folder, RANKING_REPORT_FILE))) await writeRankingReport(folder);
  return { removed: removedOf(stage, out, dropped), files };
}

/** What went of a stage's books: some have one for each kind of thing. */
function removedOf(stage: HandingStage, out: readonly Row[], dropped: readonly Row[]): Taken['removed'] {
  const draws = (row: Row) => (Array.isArray(row.candidates) ? row.candidates.length : 0);
  const place = ({ id }: Row) => placeOfPrompt(String(id));
  const all = { out: out.length, dropped: byReason(dropped) };
  switch (stage) {
    case 'candidates': {
      const isDraw = (row: Row) => place(row)?.draw !== undefined;
      const candidates = {
        out: out.reduce((sum, row) => sum + draws(row), 0),
        dropped: byReason(dropped.filter(isDraw)),
      };
      const prompts = { out: out.length, dropped: byReason(dropped.filter((row) => !isDraw(row))) };
      return { all: prompts, byUnit: { candidates } };
    }
    case 'pairs': {
      const isRanked = ({ source }: Row) => isRankingSource(String(source));
      const ofKind = (ranked: boolean): Removed => ({
        out: out.filter((row) => isRanked(row) === ranked).length,
        dropped: byReason(dropped.filter((row) => (place(row) !== undefined) === ranked)),
      });
      return { all: ofKind(false), byUnit: { [RANKED_PAIRS]: ofKind(true) } };
    }
    default:
      return { all };
  }
}

async function writeStatistics(folder: string): Promise<void> {
  const statistics = await classificationStatistics(
    readRows(join(folder, stageFiles.classify), classifiedSchema),
  );
  await writeFileAtomic(join(folder, STATISTICS_FILE), `${JSON.stringify(statistics, null, 2)}\n`);
}

/** What online training sampled, and rows that training could not use; its quarantine holds the text of a row, from which its user is read. */
async function forgetInTraining(folder: string, isMeant: (row: Row) => boolean): Promise<Taken> {
  const files: Taken['files'] = {};
  for (const name of readdirSync(folder)) {
    if (!/^(dropped|rollouts|quarantine(-\d+)?)\.jsonl$/.test(name)) continue;
    files[name] = await removeRows(join(folder, name), (row) => isMeant(row) || isMeant(rawRow(row)));
  }
  return { removed: { all: { out: 0, dropped: {} } }, files };
}

function rawRow({ raw }: Row): Row {
  try {
    const value: unknown = typeof raw === 'string' ? JSON.parse(raw) : {};
    return typeof value === 'object' && value !== null ? (value as Row) : {};
  } catch {
    return {};
  }
}

/** Brings manifests up to date, stage by stage, as if the user had never been there. */
class BooksWithout {
  readonly #run: RunFolder;
  readonly #hashes: FileHashes;
  /** Hashes of files that were changed, by what they were before: what later stages have read. */
  readonly #changed = new Map<string, string>();
  /** The user's messages by type, where they were handed on: later stages count some without a trace of each. */
  #handedOn: Record<string, number> = {};

  constructor(run: RunFolder, hashes: FileHashes) {
    this.#run = run;
    this.#hashes = hashes;
  }

  async update(stage: HandingStage, { removed, files }: Taken): Promise<void> {
    if (stage === 'classify') this.#handedOn = messagesByType(files[stageFiles.classify] ?? []);
    if (stage === 'users' && files[stageFiles.users]?.length === 0) this.#handedOn = {};
    const manifest = this.#run.manifest(stage);
    if (manifest === undefined) return;
    const isChanged = Object.values(files).some((rows) => rows.length > 0);
    const outputs = isChanged ? await this.#outputs(stage, manifest, files) : manifest.outputs;
    const all = this.#withHandedOn(removed.all, typesWithTrace(stage, manifest));
    const counts = manifest.counts.map((each, i) => {
      const taken = removed.byUnit?.[each.unit] ?? (i === 0 ? all : undefined);
      return taken === undefined ? each : countsWithout(each, taken);
    });
    const inputs = Object.entries(manifest.dependencies.inputs).map(([name, hash]) => [
      name,
      this.#changed.get(hash) ?? hash,
    ]);
    const updated: Manifest = {
      ...manifest,
      outputs,
      counts,
      facts: isChanged ? await factsNow(stage, this.#run, { ...manifest, outputs }) : manifest.facts,
      dependencies: { ...manifest.dependencies, inputs: Object.fromEntries(inputs) },
    };
    await writeFileAtomic(join(this.#run.stage(stage), MANIFEST_FILE), manifestText(updated));
  }

  async #outputs(
    stage: HandingStage,
    manifest: Manifest,
    files: Taken['files'],
  ): Promise<Manifest['outputs']> {
    const outputs: Manifest['outputs'] = {};
    for (const [file, { sha256, rows }] of Object.entries(manifest.outputs)) {
      const path = join(this.#run.stage(stage), file);
      const left = rows === null ? null : rows - (files[file]?.length ?? 0);
      const output = await fileOutput(path, left);
      outputs[file] = output;
      this.#changed.set(sha256, output.sha256);
      this.#hashes.know(path, output.sha256);
    }
    return outputs;
  }

  #withHandedOn({ out, dropped }: Removed, withTrace: readonly string[] | null): Removed {
    if (withTrace === null) return { out, dropped };
    const all = { ...dropped };
    for (const [type, count] of Object.entries(this.#handedOn)) {
      if (!withTrace.includes(type)) all[type] = (all[type] ?? 0) + count;
    }
    return { out, dropped: all };
  }
}

/** Types of messages that a stage hands on, or drops with a trace; null where it counts no messages. */
function typesWithTrace(stage: HandingStage, { dependencies }: Manifest): readonly string[] | null {
  if (stage === 'rewrite') return ['re-attempt-with-feedback'];
  return stage === 'prompts' ? promptTypes(promptOptionsSchema.parse(dependencies.options)) : null;
}

function messagesByType(rows: readonly Row[]): Record<string, number> {
  return byReason(rows.map(({ type }) => ({ reason: type })));
}

async function factsNow(
  stage: HandingStage,
  run: RunFolder,
  { facts, outputs }: Manifest,
): Promise<Record<string, number>> {
  const file = stageFiles[stage];
  const path = join(run.stage(stage), file);
  const rows = outputs[file]?.rows ?? 0;
  switch (stage) {
    case 'conversations':
    case 'reconstruct':
      return await conversationFacts(path);
    case 'classify':
      return classifyFacts(await classificationStatistics(readRows(path, classifiedSchema)));
    case 'users':
      return { ...facts, users: rows };
    case 'personas':
      return { ...facts, personas: rows };
    case 'rewrite':
      return { ...facts, rewrites: rows };
    case 'prompts':
      return await promptFacts(path);
    case 'candidates':
      return await candidateFacts(path);
    case 'rank':
      return { ...facts, prompts: rows };
    case 'pairs':
      return { ...facts, ...(await pairFacts(path)) };
    case 'math':
      return { ...facts, conversations: rows };
  }
}

/** Weights of the run, the earlier ones too, that were trained with the user's pairs. */
function trainedWith(run: RunFolder, user: string): TrainedWith[] {
  const earlier = run.file('earlier');
  const folders = [
    run.stage('train'),
    run.stage('online'),
    ...(existsSync(earlier) ? readdirSync(earlier).map((name) => join(earlier, name)) : []),
  ];
  return folders.flatMap((folder) => {
    const pairs = trainedPairs(folder, user);
    const name = [outputFiles.adapter, outputFiles.model].find((each) => existsSync(join(folder, each)));
    // Without weights there may be checkpoints of a training that was stopped.
    return pairs === 0 ? [] : [{ weights: join(folder, name ?? ''), pairs }];
  });
}

function trainedPairs(folder: string, user: string): number {
  const path = join(folder, TRAINED_USERS_FILE);
  if (!existsSync(path)) return 0;
  const users = z.record(z.string(), z.number()).parse(JSON.parse(readFileSync(path, 'utf8')));
  return users[trainedUserHash(user)] ?? 0;
}
