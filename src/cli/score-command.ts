import type { Command } from 'commander';
import { type AtomicFile, openAtomic } from '../data/atomic-write.js';
import type { Counts } from '../data/tally.js';
import { ConfigError, DataError } from '../errors.js';
import { wilsonInterval } from '../eval/statistics/wilson.js';
import type { RewardModel, RewardUsage } from '../rewards/reward-model.js';
import { rewardModelOptionsSchema } from '../rewards/reward-options.js';
import type { ScoreSummary } from '../rewards/score-summary.js';
import { newCommand, print, printJson } from './command.js';
import { formatNumber, formatSeconds } from './format.js';
import { withInterrupt } from './interrupt.js';
import { createProgress, type Progress } from './progress.js';
import { addSchemaFlags, readSchemaFlags } from './schema-flags.js';

interface ScoreFlags {
  rewardModel: string;
  input: string;
  output?: string;
  persona: boolean;
  /** False of `--no-cache`. */
  cache?: string | false;
  json?: boolean;
}

export function scoreCommand(): Command {
  const command = newCommand(
    'score',
    {
      summary: 'give answers their rewards',
      description:
        'Scores answers by a reward model on ONNX Runtime. A row of the input is {"prompt": messages or TEXT, ' +
        '"candidates": [TEXT, ...], "persona"?: TEXT}, or a preference pair as train takes it, whose two answers are ' +
        'then the candidates. Each row is written with its "rewards", pairs with "scores", too. With a persona, ' +
        'rewards are user-based: the reward model reads it as the recipe of its folder says.\n\n' +
        'Rows that cannot be used are left out, counted, and written with their reasons into OUTPUT.quarantine.jsonl. ' +
        'Rewards are kept in a cache as they come, so that the same command goes on after an interrupt.',
      examples: [
        ['persona-dpo score --reward-model reward/onnx --input candidates.jsonl --output scored.jsonl'],
        [
          'persona-dpo score --reward-model reward/onnx --input pairs.jsonl --output scored.jsonl --no-persona',
          'user-agnostic rewards; of pairs, how often the chosen answer wins',
        ],
        [
          'persona-dpo score --reward-model athene-onnx --input pairs.jsonl --execution-provider cuda > scored.jsonl',
        ],
      ],
    },
    { json: 'print the summary as JSON (rows then need --output)' },
  )
    .requiredOption('--reward-model <DIR>', 'reward model, as export-reward and train-reward write it')
    .requiredOption('--input <FILE>', 'rows to score, JSONL or a JSON array, gzipped or not')
    .option('--output <FILE>', 'scored rows, JSONL (default: standard output)')
    .option('--no-persona', 'leave the personas out: user-agnostic rewards')
    .option('--cache <FILE>', 'where rewards are kept (default: OUTPUT.rewards.lmdb)')
    .option('--no-cache', 'keep none');
  addSchemaFlags(command, rewardModelOptionsSchema, { without: ['model'] });
  return command.action(async (flags: ScoreFlags) => {
    const options = readSchemaFlags(command, rewardModelOptionsSchema, { without: ['model'] });
    if (flags.json && flags.output === undefined) throw new ConfigError('--json needs --output for the rows');
    const progress = createProgress();
    const summary = await withInterrupt(
      (signal) => scoreFile(flags, options, progress, signal),
      () => progress.line('Stopping; the same command goes on with the rewards that are kept.'),
    ).finally(() => progress.end());
    if (flags.json) printJson(summary);
    else if (flags.output === undefined) progress.line(describeSummary(summary));
    else print(describeSummary(summary));
  });
}

interface ScoreFileSummary extends ScoreSummary {
  output: string | null;
  /** Bad rows with their reasons; null where there are none. */
  quarantine: string | null;
  counts: Counts;
  usage: RewardUsage;
  executionProvider: string;
  /** Whether personas were shown to the model. */
  persona: boolean;
  seconds: number;
  /** Of those that were not in the cache. */
  candidatesPerSecond: number;
}

async function scoreFile(
  flags: ScoreFlags,
  options: Record<string, unknown>,
  progress: Progress,
  signal: AbortSignal,
): Promise<ScoreFileSummary> {
  const [{ checkFile }, { openRewardModel }] = await Promise.all([
    import('../train/check-inputs.js'),
    import('../rewards/open-reward-model.js'),
  ]);
  checkFile('--input', flags.input);
  const model = await openRewardModel({ ...options, model: flags.rewardModel }, { cache: cachePath(flags) });
  try {
    return await scoreWith(model, flags, progress, signal);
  } finally {
    await model.dispose();
  }
}

/** Without an output there is nothing beside which a cache could lie. */
function cachePath({ cache, output }: ScoreFlags): string | null {
  if (cache === false) return null;
  return cache ?? (output === undefined ? null : `${output}.rewards.lmdb`);
}

async function scoreWith(
  model: RewardModel,
  { input, output, persona }: ScoreFlags,
  progress: Progress,
  signal: AbortSignal,
): Promise<ScoreFileSummary> {
  const [{ streamCheckedRows }, { Tally }, { parseScoreRow, scoredRecord, scoreRows }, { ScoreCounter }] =
    await Promise.all([
      import('../data/read-rows.js'),
      import('../data/tally.js'),
      import('../rewards/score-rows.js'),
      import('../rewards/score-summary.js'),
    ]);
  const tally = new Tally('rows');
  const counter = new ScoreCounter();
  const files = await openOutputs(output);
  const begun = performance.now();
  try {
    const rows = scoreRows(streamCheckedRows(input, parseScoreRow), model, {
      ...{ persona, tally, signal },
      file: input,
    });
    for await (const scored of rows) {
      if (scored.ok) {
        counter.add(scored);
        await files.write(`${JSON.stringify(scoredRecord(scored.row, scored.rewards))}\n`);
      } else {
        const { line, reason, raw } = scored;
        progress.line(`note: ${input}:${line}: ${reason}`);
        await files.setAside(`${JSON.stringify({ file: input, line, reason, raw })}\n`);
      }
      const done = counter.summary();
      progress.update('scoring', done.rows, 0, rateText(done, model.usage(), secondsSince(begun)));
    }
    const counts = tally.counts();
    if (counts.out === 0) throw nothingScored(input, counts);
    const quarantine = await files.commit();
    const [usage, seconds] = [model.usage(), secondsSince(begun)];
    return {
      ...counter.summary(),
      ...{ output: output ?? null, quarantine, counts, usage, persona, seconds },
      executionProvider: model.executionProvider,
      candidatesPerSecond: usage.candidates / seconds,
    };
  } catch (error) {
    await files.abort();
    throw error;
  }
}

function secondsSince(begun: number): number {
  return (performance.now() - begun) / 1000;
}

function rateText({ rows, candidates }: ScoreSummary, { cached }: RewardUsage, seconds: number): string {
  const rate = formatNumber((candidates - cached) / seconds);
  return `${rows} rows, ${candidates} candidates${cached > 0 ? ` (${cached} kept)` : ''}, ${rate}/s`;
}

function nothingScored(input: string, { in: total, dropped }: Counts): DataError {
  const what =
    total === 0
      ? 'it holds no rows; expected at least one'
      : `none of its ${total} rows can be scored: ${Object.entries(dropped)
          .map(([reason, count]) => `${count} x ${reason}`)
          .join(', ')}`;
  return new DataError(what, { file: input });
}

/** Scored rows, and those that are set aside. */
interface Outputs {
  write(line: string): Promise<void>;
  setAside(line: string): Promise<void>;
  /** Gives the quarantine's path; null where nothing was set aside. */
  commit(): Promise<string | null>;
  abort(): Promise<void>;
}

/** Files, or standard output, where bad rows are only told of. */
async function openOutputs(output: string | undefined): Promise<Outputs> {
  if (output === undefined) {
    return {
      write: async (line) => void process.stdout.write(line),
      setAside: async () => undefined,
      commit: async () => null,
      abort: async () => undefined,
    };
  }
  const { rm } = await import('node:fs/promises');
  const quarantinePath = `${output}.quarantine.jsonl`;
  const rows = await openAtomic(output);
  let quarantine: AtomicFile | undefined;
  return {
    write: (line) => rows.write(line),
    async setAside(line) {
      quarantine ??= await openAtomic(quarantinePath);
      await quarantine.write(line);
    },
    async commit() {
      await rows.commit();
      // A file left by an earlier call would speak of rows that are no longer bad.
      if (quarantine === undefined) await rm(quarantinePath, { force: true });
      await quarantine?.commit();
      return quarantine === undefined ? null : quarantinePath;
    },
    async abort() {
      await rows.abort();
      // Why nothing could be used is worth keeping.
      await quarantine?.commit();
    },
  };
}

function describeSummary(summary: ScoreFileSummary): string {
  const { rows, candidates, rewards, pairs, counts, usage, executionProvider, persona, seconds } = summary;
  const dropped = counts.in - counts.out;
  const lines = [
    `${candidates} candidates of ${rows} rows scored on ${executionProvider} in ${formatSeconds(seconds)}` +
      ` (${formatNumber(summary.candidatesPerSecond)} a second${usage.cached > 0 ? `; ${usage.cached} were kept from before` : ''}), ` +
      `${persona ? 'with the personas that rows have' : 'without personas'}.`,
  ];
  if (rewards !== null) {
    const { mean, min, max } = rewards;
    lines.push(`Rewards: mean ${formatNumber(mean)}, from ${formatNumber(min)} to ${formatNumber(max)}.`);
  }
  if (pairs !== null) lines.push(describePairs(pairs));
  if (usage.truncated > 0) {
    lines.push(
      `Cut to what the model reads: ${usage.truncated} of ${usage.candidates} conversations with a candidate.`,
    );
  }
  if (dropped > 0) {
    const reasons = Object.entries(counts.dropped).map(([reason, count]) => `${count} ${reason}`);
    const where = summary.quarantine === null ? '' : `; they are in ${summary.quarantine}`;
    lines.push(`${dropped} rows were left out (${reasons.join(', ')})${where}.`);
  }
  if (summary.output !== null) lines.push(`Written to ${summary.output}.`);
  return lines.join('\n');
}

function describePairs({ pairs, right, ties, accuracy }: NonNullable<ScoreSummary['pairs']>): string {
  const percent = (share: number) => `${(100 * share).toFixed(1)}%`;
  const { low, high } = wilsonInterval(right + ties / 2, pairs);
  return `The chosen answer has the higher reward in ${right} of ${pairs} pairs${ties > 0 ? ` (${ties} ties)` : ''}: accuracy ${percent(accuracy)} (95% interval ${percent(low)} to ${percent(high)}).`;
}
