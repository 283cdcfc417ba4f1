/** What a stage writes beside its rows: what they depend on, what came in and went out, and how long it took. */

import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { DataError } from '../errors.js';
import { STAGE_NAMES } from './stage-names.js';

export const MANIFEST_FILE = 'manifest.json';
/** To be raised when manifests of earlier versions can no longer be read. */
const FORMAT = 1;

const countsSchema = z.object({
  unit: z.string(),
  in: z.number(),
  out: z.number(),
  dropped: z.record(z.string(), z.number()),
  noted: z.record(z.string(), z.number()).exactOptional(),
});

const dependenciesSchema = z.object({
  /** Of the stage's code: raised with every change of it that changes results. */
  version: z.number(),
  options: z.record(z.string(), z.json()),
  /** SHA-256 of each prompt template. */
  templates: z.record(z.string(), z.string()),
  /** The model that is asked or trained, as one line; null where there is none. */
  model: z.string().nullable(),
  /** SHA-256 of each input. */
  inputs: z.record(z.string(), z.string()),
});

/** Everything that a stage's results depend on. */
export type Dependencies = z.output<typeof dependenciesSchema>;

const outputSchema = z.object({ sha256: z.string(), bytes: z.number(), rows: z.number().nullable() });
/** A file that a stage wrote. `rows` is null where it does not consist of rows. */
export type OutputFile = z.output<typeof outputSchema>;

const usageSchema = z.object({
  requests: z.number(),
  cached: z.number(),
  failed: z.number(),
  promptTokens: z.number(),
  completionTokens: z.number(),
  cost: z.number().nullable(),
});

const manifestSchema = z.object({
  format: z.literal(FORMAT),
  stage: z.enum(STAGE_NAMES),
  dependencies: dependenciesSchema,
  /** The inputs by name, as they were. */
  inputs: z.record(z.string(), z.array(z.string())),
  outputs: z.record(z.string(), outputSchema),
  counts: z.array(countsSchema),
  /** Figures that later stages' estimates and the summary use. */
  facts: z.record(z.string(), z.number()),
  /** What the model said it is, once it was open. */
  modelIdentity: z.string().nullable(),
  usage: usageSchema.nullable(),
  versions: z.object({ package: z.string(), node: z.string() }),
  /** Where the stage was done; manifests of earlier versions do not tell. */
  machine: z
    .object({ cpu: z.string(), cores: z.number(), memoryBytes: z.number(), platform: z.string() })
    .exactOptional(),
  startedAt: z.string(),
  finishedAt: z.string(),
  /** Wall-clock seconds of the call that finished the stage. */
  seconds: z.number(),
});
export type Manifest = z.output<typeof manifestSchema>;

export function newManifest(parts: Omit<Manifest, 'format'>): Manifest {
  return { format: FORMAT, ...parts };
}

/**
 * The manifest in a file; undefined where there is none.
 *
 * @throws DataError when the file is something else
 */
export function readManifest(path: string): Manifest | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new DataError(`cannot be read: ${(error as Error).message}`, { file: path, cause: error });
  }
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new DataError(
      'expected the manifest of a stage, as this version of the package writes it; delete its folder to do the stage anew',
      { file: path, cause },
    );
  }
}

export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify(manifest, null, 2)}\n`;
}
