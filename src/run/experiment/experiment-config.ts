/** An experiment: one run in many variants, as a YAML file says. */

import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { ConfigError } from '../../errors.js';
import { parseRunConfig } from '../config/config-file.js';
import { isRecord } from '../config/option-tree.js';
import type { ResolvedRunConfig } from '../config/run-config.js';
import { parseYaml, problemsError, type YamlSource } from '../config/yaml-source.js';

const changes = z.record(z.string(), z.unknown());

const experimentSchema = z.strictObject({
  output_dir: z.string().min(1).describe("The experiment's folder."),
  run: z
    .union([z.string().min(1), changes])
    .describe('What all variants begin from: the file of a run, from this file, or its sections.'),
  variants: z
    .record(z.string(), z.union([changes, z.null()]))
    .refine((variants) => Object.keys(variants).every((name) => /^[\w-][\w.-]*$/.test(name)), {
      error: 'a variant is named by letters, digits, dots, dashes and underscores',
    })
    .refine((variants) => Object.keys(variants).length > 0, 'at least one variant')
    .describe('By name, what each changes of the run: sections and options as in its file.'),
  grid: z
    .record(z.string().min(1), z.array(z.unknown()).min(1))
    .default({})
    .describe('Values of options (train.learning_rate), each of which every variant is done with.'),
  seeds: z
    .array(z.number().int().min(0))
    .min(1)
    .nullable()
    .default(null)
    .describe(
      'Seeds of training: every cell once for each, with all stages before it in common. Where those are to differ, too, put `seed` into the grid.',
    ),
  evaluate: z
    .array(z.array(z.union([z.string(), z.number()])).min(1))
    .default([])
    .describe(
      "Words behind `persona-dpo evaluate`, for every cell; model, adapter and output are the cell's.",
    ),
});

/** One run of an experiment. */
export interface ExperimentCell {
  /** Of its folder: variant, values of the grid, seed. */
  name: string;
  variant: string;
  /** What the grid sets, by option. */
  values: Readonly<Record<string, unknown>>;
  seed: number | null;
  config: ResolvedRunConfig;
}

export interface Experiment {
  folder: string;
  cells: ExperimentCell[];
  /** Arguments of evaluations. */
  evaluate: string[][];
}

/**
 * Reads an experiment and checks the run of every cell.
 *
 * @param folder In place of the file's `output_dir`
 * @throws ConfigError with file and line, or with the cell, for what cannot be read or used
 */
export function readExperiment(file: string, folder?: string): Experiment {
  const source = parseYaml(readText(file), file);
  const parsed = experimentSchema.safeParse(source.value);
  if (!parsed.success) throw problemsOf(parsed.error, source);
  const { run, variants, grid, seeds, evaluate, output_dir: outputDir } = parsed.data;
  const base = typeof run === 'string' ? runSections(run, file) : run;
  const output = folder ?? outputDir;
  const cells = Object.entries(variants).flatMap(([variant, changed]) =>
    combinations(grid).flatMap((values) =>
      (seeds ?? [null]).map((seed): ExperimentCell => {
        const name = cellName(variant, values, seed);
        const sections = withSeed(withValues(merged(base, changed ?? {}), values), seed);
        const text = stringify({ ...sections, output_dir: join(output, CELLS_FOLDER, name) });
        return { name, variant, values, seed, config: cellConfig(text, file, name) };
      }),
    ),
  );
  const twice = cells.find(({ name }, index) => cells.findIndex((cell) => cell.name === name) < index);
  if (twice !== undefined) throw new ConfigError(`${file}: two cells have the name ${twice.name}`);
  return { folder: output, cells, evaluate: evaluate.map((words) => words.map(String)) };
}

/** In an experiment's folder: the runs of its cells. */
export const CELLS_FOLDER = 'cells';

function cellConfig(text: string, file: string, name: string): ResolvedRunConfig {
  try {
    return parseRunConfig(text, '').config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    // Lines of the text are none of the user's.
    throw new ConfigError(`${file}, cell ${name}: ${error.message.replaceAll(/(^|- ):\d+: /gm, '$1')}`, {
      cause: error,
    });
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  } catch (cause) {
    throw new ConfigError(`${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

function runSections(path: string, file: string): Record<string, unknown> {
  const place = isAbsolute(path) ? path : join(dirname(file), path);
  const text = readText(place);
  parseYaml(text, place);
  return (parse(text) ?? {}) as Record<string, unknown>;
}

function problemsOf({ issues }: z.ZodError, { place }: YamlSource): ConfigError {
  const problems = issues.map(({ path, message }) => ({
    path: path as (string | number)[],
    message: path.length === 0 ? message : `${path.join('.')}: ${message}`,
  }));
  return problemsError(problems, place);
}

/** `changed` over `base`: sections within sections, everything else as a whole. */
function merged(base: Record<string, unknown>, changed: Record<string, unknown>): Record<string, unknown> {
  const result = { ...base };
  for (const [name, value] of Object.entries(changed)) {
    const before = result[name];
    result[name] = isRecord(before) && isRecord(value) ? merged(before, value) : value;
  }
  return result;
}

function withValues(
  sections: Record<string, unknown>,
  values: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  return Object.entries(values).reduce(
    (result, [path, value]) =>
      merged(
        result,
        path
          .split('.')
          .reduceRight<Record<string, unknown>>(
            (inner, name, index, names) => ({ [name]: index === names.length - 1 ? value : inner }),
            {},
          ),
      ),
    sections,
  );
}

function withSeed(sections: Record<string, unknown>, seed: number | null): Record<string, unknown> {
  return seed === null || !isRecord(sections.train) ? sections : merged(sections, { train: { seed } });
}

/** Every value of every option with every other. */
function combinations(grid: Readonly<Record<string, readonly unknown[]>>): Record<string, unknown>[] {
  return Object.entries(grid).reduce<Record<string, unknown>[]>(
    (all, [option, values]) => all.flatMap((each) => values.map((value) => ({ ...each, [option]: value }))),
    [{}],
  );
}

/** `no-persona,learning_rate=1e-6,seed=2`. */
function cellName(variant: string, values: Readonly<Record<string, unknown>>, seed: number | null): string {
  const parts = Object.entries(values).map(
    ([path, value]) => `${path.split('.').at(-1)}=${String(value).replaceAll(/[^\w.+-]/g, '_')}`,
  );
  return [variant, ...parts, ...(seed === null ? [] : [`seed=${seed}`])].join(',');
}
