import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeEvaluation } from '../../../src/eval/results.js';
import { CELLS_FOLDER, readExperiment } from '../../../src/run/experiment/experiment-config.js';
import { experimentResult } from '../../../src/run/experiment/experiment-table.js';
import { runExperiment } from '../../../src/run/experiment/run-experiment.js';
import { setUpSmallRun } from '../small-run.js';

async function smallExperiment(yaml: string) {
  const run = await setUpSmallRun();
  const file = join(run.folder, 'experiment.yaml');
  const output = join(run.folder, 'experiment');
  writeFileSync(file, `output_dir: ${output}\nrun: run.yaml\n${yaml}`);
  const cell = (name: string, path: string) => join(output, CELLS_FOLDER, name, path);
  return { ...run, file, output, cell };
}

const VARIANTS = `variants:
  plain:
  no-persona: {pairs: {persona: false}}
  scratch: {rewrite: {source: scratch}}
`;

describe('readExperiment', () => {
  it('makes a run of each variant, value and seed', async () => {
    const { file } = await smallExperiment(
      `${VARIANTS}grid: {pairs.min_rejected_characters: [10, 20], seed: [1, 2]}\n`,
    );
    const { cells } = readExperiment(file);
    expect(cells).toHaveLength(12);
    expect(cells[5]?.name).toBe('no-persona,min_rejected_characters=10,seed=2');
    expect(cells[5]?.config).toMatchObject({
      seed: 2,
      sections: { pairs: { persona: false, minRejectedCharacters: 10 } },
    });
    expect(cells[0]?.config.sections.pairs).toMatchObject({ persona: true });
  });

  it('gives seeds to training alone, so that the stages before are shared', async () => {
    const { file } = await smallExperiment(
      'variants: {trained: {train: {model: m}}, untrained: {train: false}}\nseeds: [3, 4]\n',
    );
    const { cells } = readExperiment(file);
    expect(cells.map(({ config }) => config.train?.seed ?? null)).toEqual([3, 4, null, null]);
    expect(new Set(cells.map(({ config }) => config.seed)).size).toBe(1);
  });

  it.each([
    ['no variant', 'variants: {}\n', /experiment.yaml:3: variants: at least one variant/],
    ['an unknown option', 'variants: {a: }\nseed: [1]\n', /Unrecognized key: "seed"/],
    [
      'an option of a run that is none',
      'variants: {a: {pairs: {persna: false}}}\n',
      /cell a: unknown option.*persna/,
    ],
    ['a name that is no folder', 'variants: {"../a": }\n', /a variant is named by letters/],
  ])('refuses %s', async (_name, yaml, message) => {
    const { file } = await smallExperiment(yaml);
    expect(() => readExperiment(file)).toThrow(message);
  });
});

describe('runExperiment', () => {
  it('does what variants have in common once', async () => {
    const { file, asked, cell } = await smallExperiment(VARIANTS);
    const experiment = readExperiment(file);
    const { outcome, outcomes } = await runExperiment(experiment);
    expect(outcome).toBe('finished');
    expect(outcomes.map(({ state }) => state)).toEqual(['done', 'done', 'done']);
    const once = asked();
    // Classified, asked for personas and rewritten for the first variant; the second only pairs anew.
    const inode = (path: string) => statSync(path).ino;
    expect(inode(cell('no-persona', 'rewrite/rewrites.jsonl'))).toBe(
      inode(cell('plain', 'rewrite/rewrites.jsonl')),
    );
    expect(inode(cell('scratch', 'personas/personas.jsonl'))).toBe(
      inode(cell('plain', 'personas/personas.jsonl')),
    );
    expect(readFileSync(cell('no-persona', 'pairs/pairs.jsonl'), 'utf8')).not.toContain('"persona"');
    expect(readFileSync(cell('plain', 'pairs/pairs.jsonl'), 'utf8')).toContain('"persona"');
    await runExperiment(experiment);
    expect(asked()).toEqual(once);
  });

  it('notes a cell that fails, does the others, and tries it again', async () => {
    const missing = 'broken: {conversations: {input: nowhere.jsonl}}\n';
    const { file, output } = await smallExperiment(`variants:\n  ${missing}  plain:\n`);
    const events: string[] = [];
    const first = await runExperiment(readExperiment(file), {
      onExperimentEvent: (event) => events.push(`${event.type} ${event.cell}`),
    });
    expect(events).toEqual(['cell broken', 'cell-failed broken', 'cell plain']);
    expect(first.outcomes.map(({ state }) => state)).toEqual(['failed', 'done']);
    expect(first.outcomes[0]?.error).toContain('nowhere.jsonl');
    expect(first.result.tables[1]?.rows[0]?.label).toBe('broken');
    expect(existsSync(join(output, 'evaluations', 'experiment.json'))).toBe(true);
    const logs = readFileSync(file, 'utf8').replace('nowhere.jsonl', join(output, '..', 'logs.jsonl'));
    writeFileSync(file, logs);
    const second = await runExperiment(readExperiment(file));
    expect(second.outcomes.map(({ state }) => state)).toEqual(['done', 'done']);
  });

  it('stops where it is told to, and goes on', async () => {
    const { file } = await smallExperiment(VARIANTS);
    const controller = new AbortController();
    const stopped = await runExperiment(readExperiment(file), {
      signal: controller.signal,
      onExperimentEvent: ({ cell }) => {
        if (cell === 'no-persona') controller.abort();
      },
    });
    expect(stopped.outcome).toBe('interrupted');
    expect(stopped.outcomes.map(({ state }) => state)).toEqual(['done', 'not-done', 'not-done']);
    const { outcomes } = await runExperiment(readExperiment(file));
    expect(outcomes.map(({ state }) => state)).toEqual(['done', 'done', 'done']);
  });

  it('evaluates each cell and takes what was found into the table', async () => {
    const { file } = await smallExperiment('variants: {plain: , no-persona: {pairs: {persona: false}}}\n');
    const { result } = await runExperiment(readExperiment(file), {
      evaluate: async ({ cell, folder, weights }) => {
        expect(weights).toBeNull();
        const value = cell.variant === 'plain' ? 0.75 : 0.5;
        await writeEvaluation(folder, {
          ...{ kind: 'evaluation', format: 1, name: 'made-up', title: 'Made up' },
          tables: [
            {
              title: 'Win rates',
              columns: [{ title: 'Win rate', unit: 'share' }],
              rows: [{ label: 'all', cells: [{ value, low: value - 0.1, high: value + 0.1 }] }],
            },
          ],
        });
      },
    });
    const [table] = result.tables;
    const index = table?.columns.findIndex(({ title }) => title === 'Made up: all') ?? -1;
    expect(table?.rows.map(({ cells }) => cells[index])).toEqual([
      { value: 0.75, low: 0.65, high: 0.85 },
      { value: 0.5, low: 0.4, high: 0.6 },
    ]);
  });
});

describe('experimentResult', () => {
  it('has the mean and an interval over seeds', () => {
    const column = { title: 'Held-out accuracy', unit: 'share' as const };
    const outcomes = [0.5, 0.6, 0.7].map((value, seed) => ({
      cell: { name: `a,seed=${seed}`, variant: 'a', values: { 'train.beta': 0.1 }, seed },
      state: 'done' as const,
      figures: new Map([[column.title, { value, column }]]),
    }));
    const [row] = experimentResult(outcomes, 1).tables[0]?.rows ?? [];
    expect(row?.label).toBe('a, train.beta 0.1');
    expect(row?.cells[0]).toMatchObject({ value: expect.closeTo(0.6, 9), count: 3 });
    expect(row?.cells[0]?.low).toBeCloseTo(0.6 - (4.3027 * 0.1) / Math.sqrt(3), 3);
  });
});
