/** From files of pairs to tokenized pairs for training and evaluation, with what could not be used kept and counted. */

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { writeFileAtomic } from '../data/atomic-write.js';
import type { PairRow } from '../data/pairs.js';
import { createPersonaTemplate, loadPersonaTemplate } from '../data/persona-prompt.js';
import { readPairs } from '../data/read-pairs.js';
import { splitPairs } from '../data/sampling.js';
import { type TokenizedPair, tokenizePair } from '../data/tokenize.js';
import type { Tokenizer } from '../data/tokenizer.js';
import { DataError } from '../errors.js';
import type { TrainEvent } from './events.js';
import type { ResolvedTrainOptions } from './options.js';
import { outputFiles } from './output-folder.js';

export interface TrainingData {
  train: TokenizedPair[];
  evaluation: TokenizedPair[];
  /** Rows that could not be read; they are in the quarantine files. */
  bad: number;
  /** Pairs of which nothing to learn from was left; they are in dropped.jsonl. */
  dropped: number;
  /** SHA-256 over the tokens of all pairs in their order. */
  fingerprint: string;
}

type Options = Pick<
  ResolvedTrainOptions,
  | 'pairs'
  | 'evalPairs'
  | 'evalSplit'
  | 'seed'
  | 'maxBadRowShare'
  | 'persona'
  | 'personaTemplate'
  | 'maxLength'
  | 'maxPromptLength'
  | 'truncationMode'
  | 'outputDir'
>;

/**
 * Reads, splits and tokenizes the pairs of a run.
 *
 * @throws DataError when too many rows are bad, or no pair is left to train on; ConfigError from tokenizing.
 */
export async function loadTrainingData(
  options: Options,
  tokenizer: Tokenizer,
  onEvent: (event: TrainEvent) => void,
): Promise<TrainingData> {
  const reader = new QuarantiningReader(options);
  const rows = await reader.read(options.pairs);
  const { train, eval: heldOut } = splitPairs(rows, { evalShare: options.evalSplit, seed: options.seed });
  const evaluationRows = options.evalPairs === null ? heldOut : await reader.read(options.evalPairs);
  if (reader.bad > 0) {
    onEvent({
      type: 'notice',
      message: `${reader.bad} of ${reader.total} rows could not be read; they are in ${join(options.outputDir, outputFiles.quarantine)}`,
    });
  }
  const tokenized = new PairTokenizer(options, tokenizer);
  const data = {
    train: await tokenized.all('train', train),
    evaluation: await tokenized.all('evaluation', evaluationRows),
  };
  await tokenized.report(onEvent);
  if (data.train.length === 0) throw nothingLeft(options, rows.length, tokenized.dropped);
  return { ...data, bad: reader.bad, dropped: tokenized.dropped.length, fingerprint: fingerprintOf(data) };
}

function nothingLeft(
  { pairs, evalSplit }: Options,
  rows: number,
  dropped: readonly { set: string; row: number; reason: string }[],
): DataError {
  const first = dropped.find(({ set }) => set === 'train');
  const why =
    first !== undefined
      ? `; the first was dropped because: ${first.reason}`
      : evalSplit > 0
        ? `: eval_split ${evalSplit} sets all ${rows} aside for evaluation (users are kept together)`
        : '';
  return new DataError(`no pair is left to train on${why}`, { file: pairs[0] as string });
}

/** Reads files of pairs; bad rows of the n-th file with some go to the n-th quarantine file. */
class QuarantiningReader {
  readonly #options: Options;
  #files = 0;
  bad = 0;
  total = 0;

  constructor(options: Options) {
    this.#options = options;
  }

  async read(files: readonly string[]): Promise<PairRow[]> {
    const { outputDir, maxBadRowShare } = this.#options;
    const all: PairRow[] = [];
    for (const file of files) {
      const name = this.#files === 0 ? outputFiles.quarantine : `quarantine-${this.#files + 1}.jsonl`;
      const { pairs, bad, total } = await readPairs(file, {
        quarantinePath: join(outputDir, name),
        maxBadRowShare,
      });
      for (const pair of pairs) all.push(pair);
      if (bad.length > 0) this.#files++;
      this.bad += bad.length;
      this.total += total;
    }
    return all;
  }
}

/** How many pairs are tokenized before the event loop gets its turn. */
const PAIRS_AT_ONCE = 50;

class PairTokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #options: Parameters<typeof tokenizePair>[2];
  readonly #persona: boolean;
  readonly #outputDir: string;
  readonly dropped: { set: string; id: string; row: number; reason: string }[] = [];
  readonly #cut = { prompts: 0, completions: 0, merges: 0 };

  constructor(
    { persona, personaTemplate, maxLength, maxPromptLength, truncationMode, outputDir }: Options,
    tokenizer: Tokenizer,
  ) {
    this.#tokenizer = tokenizer;
    this.#persona = persona;
    this.#outputDir = outputDir;
    this.#options = {
      personaTemplate:
        personaTemplate === null ? createPersonaTemplate() : loadPersonaTemplate(personaTemplate),
      maxLength,
      maxPromptLength,
      truncationMode,
    };
  }

  async all(set: string, rows: readonly PairRow[]): Promise<TokenizedPair[]> {
    const tokenized: TokenizedPair[] = [];
    for (const [row, pair] of rows.entries()) {
      if (row % PAIRS_AT_ONCE === 0) await new Promise(setImmediate);
      const outcome = tokenizePair(
        this.#persona ? pair : withoutPersona(pair),
        this.#tokenizer,
        this.#options,
      );
      if (!outcome.ok) {
        this.dropped.push({ set, id: pair.id ?? `row ${row + 1}`, row: row + 1, reason: outcome.reason });
        continue;
      }
      tokenized.push(outcome.pair);
      if (outcome.promptCut) this.#cut.prompts++;
      if (outcome.completionCut) this.#cut.completions++;
      this.#cut.merges += outcome.boundaryMerges;
    }
    return tokenized;
  }

  /** Writes the list of dropped pairs, and tells what happened to the others. */
  async report(onEvent: (event: TrainEvent) => void): Promise<void> {
    const { prompts, completions, merges } = this.#cut;
    if (this.dropped.length > 0) {
      const path = join(this.#outputDir, outputFiles.dropped);
      await writeFileAtomic(
        path,
        this.dropped.map((row) => `${JSON.stringify(row)}\n`),
      );
      onEvent({ type: 'notice', message: `${this.dropped.length} pairs were dropped; ${path} says why` });
    }
    if (prompts + completions > 0) {
      onEvent({
        type: 'notice',
        message: `max_length cut ${prompts} prompts and the responses of ${completions} pairs`,
      });
    }
    if (merges > 0) {
      onEvent({
        type: 'notice',
        message: `${merges} responses begin with a token that would merge with the prompt's end; they were tokenized by themselves`,
      });
    }
  }
}

function withoutPersona(pair: PairRow): PairRow {
  const { persona: _, ...rest } = pair;
  return rest as PairRow;
}

function fingerprintOf({
  train,
  evaluation,
}: {
  train: TokenizedPair[];
  evaluation: TokenizedPair[];
}): string {
  const hash = createHash('sha256');
  for (const pairs of [train, evaluation]) {
    hash.update(`${pairs.length}\n`);
    for (const { promptIds, chosenIds, rejectedIds, margin } of pairs) {
      hash.update(`${promptIds}|${chosenIds}|${rejectedIds}${margin === undefined ? '' : `|${margin}`}\n`);
    }
  }
  return hash.digest('hex');
}
