/** A run of small stages that work on numbers: what the machinery is tested with. */

import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { z } from 'zod';
import { Tally } from '../../src/data/tally.js';
import type { RunEvent } from '../../src/run/events.js';
import { FileHashes } from '../../src/run/file-hashes.js';
import { type PlanOptions, planStages, type RunPlan } from '../../src/run/plan.js';
import { RowWriter, readRows } from '../../src/run/row-files.js';
import { RunFolder } from '../../src/run/run-folder.js';
import { runStages, type StagesOutcome } from '../../src/run/run-stages.js';
import type { RunStage, StageInput, StageWork } from '../../src/run/stage.js';
import type { StageName } from '../../src/run/stage-names.js';

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-run-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const rowSchema = z.object({ n: z.number() });

export interface ToyOptions {
  folder: string;
  /** Numbers from outside, one row each. */
  source: string;
  /** `conversations` drops numbers above it. */
  most?: number;
  /** `classify` multiplies by it. */
  factor?: number;
  template?: string;
  model?: string;
  /** Is told each row that a stage works on; may throw, wait or abort. */
  onRow?: (stage: StageName, n: number) => void | Promise<void>;
}

export function writeNumbers(path: string, numbers: readonly number[]): void {
  writeFileSync(path, numbers.map((n) => `{"n":${n}}\n`).join(''));
}

/** conversations -> classify -> pairs -> train, which goes on where it was. */
export function toyStages(options: ToyOptions): RunStage[] {
  const { folder, source, most = 100, factor = 2, template = 'say {{ n }}' } = options;
  const run = new RunFolder(folder);
  const from = (stage: StageName): StageInput => ({
    name: `${stage} rows`,
    from: stage,
    files: async () => [join(run.stage(stage), 'rows.jsonl')],
  });
  const outside: StageInput = { name: 'numbers', from: null, files: async () => [source] };
  const base = { version: 1, templates: {}, model: null, resumes: false, estimate: () => undefined };
  const mapped = (name: StageName, input: StageInput, change: (n: number) => number | null) => ({
    ...base,
    name,
    inputs: [input],
    run: (work: StageWork) => mapRows(name, input, work, change, options),
  });
  return [
    {
      ...mapped('conversations', outside, (n) => (n > most ? null : n)),
      options: { most },
    },
    {
      ...mapped('classify', from('conversations'), (n) => n * factor),
      options: { sampling: { factor } },
      templates: { classify: template },
      get model() {
        return options.model ?? 'toy';
      },
      estimate: ({ conversations }) =>
        conversations === undefined
          ? null
          : {
              requests: conversations.rows ?? 0,
              promptTokens: 10,
              completionTokens: 1,
              seconds: null,
              cost: null,
            },
    },
    { ...mapped('pairs', from('classify'), (n) => n % 1000), options: {} },
    {
      ...base,
      name: 'train',
      inputs: [from('pairs')],
      options: { rate: 1 },
      resumes: true,
      run: (work: StageWork) => train(work, options),
    },
  ];
}

async function mapRows(
  name: StageName,
  input: StageInput,
  work: StageWork,
  change: (n: number) => number | null,
  { onRow }: ToyOptions,
) {
  const [file = ''] = await input.files();
  const dropped = new RowWriter(join(work.folder, 'dropped.jsonl'));
  const rows = new RowWriter(join(work.folder, 'rows.jsonl'));
  const tally = new Tally('numbers', (drop) => dropped.write(drop));
  for await (const { n } of readRows(file, rowSchema, { expected: work.expectedRows(file) })) {
    work.signal.throwIfAborted();
    await onRow?.(name, n);
    tally.enter();
    const result = change(n);
    if (result === null) tally.drop({ id: String(n), reason: 'too-large' });
    else {
      rows.write({ n: result });
      tally.leave();
    }
  }
  dropped.close();
  const output = rows.close();
  return {
    outputs: { 'rows.jsonl': output },
    counts: [tally.counts()],
    facts: { rows: output.rows ?? 0 },
    modelIdentity: null,
    usage: null,
  };
}

/** Three steps, each a line of `steps`; goes on after those that are there. */
async function train({ folder, resuming, signal }: StageWork, { onRow }: ToyOptions) {
  const steps = join(folder, 'steps');
  if (!resuming) writeFileSync(steps, '');
  for (let step = 1; step <= 3; step++) {
    await onRow?.('train', step);
    signal.throwIfAborted();
    appendFileSync(steps, `${resuming ? 'again ' : ''}${step}\n`);
  }
  writeFileSync(join(folder, 'adapter'), 'weights');
  return { outputs: {}, counts: [], facts: {}, modelIdentity: null, usage: null };
}

export interface ToyRun extends StagesOutcome {
  events: RunEvent[];
  /** Stages that were worked on. */
  done: StageName[];
}

export async function runToys(
  options: ToyOptions,
  range: Pick<PlanOptions, 'from' | 'until'> & { signal?: AbortSignal } = {},
): Promise<ToyRun> {
  const { signal = new AbortController().signal, ...fromUntil } = range;
  const folder = new RunFolder(options.folder);
  folder.open();
  const events: RunEvent[] = [];
  const outcome = await runStages({
    ...fromUntil,
    folder,
    stages: toyStages(options),
    hashes: new FileHashes(folder.file('hashes')),
    signal,
    onEvent: (event) => events.push(event),
  });
  const done = events.flatMap((event) => (event.type === 'done' ? [event.stage] : []));
  return { ...outcome, events, done };
}

export function planToys(
  options: ToyOptions,
  range: Pick<PlanOptions, 'from' | 'until'> = {},
): Promise<RunPlan> {
  const folder = new RunFolder(options.folder);
  return planStages({ ...range, folder, stages: toyStages(options), hashes: new FileHashes(null) });
}
