/** From a Hugging Face folder of a reward model to a folder that ONNX Runtime runs. */

import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { DEFAULT_PERSONA_TEMPLATE, loadPersonaTemplate } from '../../data/persona-prompt.js';
import { loadTokenizer } from '../../data/tokenizer.js';
import { CheckpointError, ConfigError } from '../../errors.js';
import { writeFileAtomically, writePending } from '../../models/atomic-file.js';
import { reasonOf } from '../../models/file-reading.js';
import type { HubOptions } from '../../models/hub-options.js';
import { checkModelTarget, copyTokenizer } from '../../models/model-folder.js';
import { resolveModel } from '../../models/model-location.js';
import {
  MODEL_FILE,
  PERSONA_TEMPLATE_FILE,
  parseRecipe,
  RECIPE_FILE,
  type RecipeOverrides,
  type RewardRecipe,
} from '../recipe.js';
import { checkTokenizer } from '../tokenizer-check.js';
import { decoderGraph, OPSET } from './decoder-graph.js';
import { type ExportRewardOptions, exportRewardOptionsSchema, type RewardDType } from './export-options.js';
import { ALIGNMENT, type GraphBuilder, MICROSOFT } from './graph-builder.js';
import { encodeModel, IR_VERSION } from './onnx-proto.js';
import { openRewardFolder, type RewardFolder } from './reward-folder.js';

export interface ExportRewardContext {
  /** How to reach the Hugging Face Hub, for a model that is named by its id. */
  hub?: HubOptions;
  /** Called after each tensor with the bytes written so far and in all. */
  onProgress?: (doneBytes: number, totalBytes: number) => void;
}

export interface ExportedRewardModel {
  folder: string;
  recipe: RewardRecipe;
  dtype: RewardDType;
  /** Numbers of the model, its head included. */
  parameters: number;
  /** Of the ONNX file and its external data. */
  bytes: number;
}

/** Athene-RM-8B: its limit, and the token of Llama 3's vocabulary that it reads its value at. */
const ATHENE = {
  maxTokens: 4095,
  classificationToken: '<|reserved_special_token_1|>',
  truncation: 'end',
} as const;

/**
 * Exports a reward model: `model.onnx` with its weights in `model.onnx.data`, the recipe, the persona's template, and
 * configuration and tokenizer as they are. At most one tensor is in memory at a time; the folder appears whole or not at
 * all.
 *
 * @throws ConfigError for options that cannot be used; CheckpointError for a model that is not a reward model of a
 * supported family, a tokenizer that does not belong to it, or a folder that is not empty
 */
export async function exportRewardModel(
  options: ExportRewardOptions,
  { hub, onProgress }: ExportRewardContext = {},
): Promise<ExportedRewardModel> {
  const { model, output, dtype, recipe: overrides, personaTemplate } = parseOptions(options);
  const target = resolve(output);
  checkModelTarget(target);
  if (personaTemplate !== null) loadPersonaTemplate(personaTemplate);
  const location = await resolveModel(model, hub === undefined ? {} : { hub });
  if (location.kind === 'gguf') {
    throw new CheckpointError(
      `${location.path}: a GGUF file has no reward head; a Hugging Face folder was expected.`,
    );
  }
  const source = openRewardFolder(location.path);
  try {
    const recipe = recipeOf(source, dtype, overrides);
    checkLimit(recipe, source.config.maxPositionEmbeddings, location.path);
    checkOwnTokenizer(location.path, source, recipe);
    return writeFolder(target, { path: location.path, source, dtype, recipe, personaTemplate, onProgress });
  } finally {
    source.weights.close();
  }
}

function parseOptions(options: ExportRewardOptions) {
  const parsed = exportRewardOptionsSchema.safeParse(options);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new ConfigError(problems.join('; '));
}

/** The recipe that follows from the model, with what the user has set. */
function recipeOf(
  { config, head }: RewardFolder,
  dtype: RewardDType,
  overrides: RecipeOverrides,
): RewardRecipe {
  const own = head.kind === 'athene' ? ATHENE : { maxTokens: config.maxPositionEmbeddings };
  const maxTokens = Math.min(own.maxTokens, config.maxPositionEmbeddings - (head.kind === 'athene' ? 1 : 0));
  const recipe = {
    version: 1,
    head: { kind: head.kind, dtype },
    ...own,
    maxTokens,
    personaTemplate: PERSONA_TEMPLATE_FILE,
    ...overrides,
  };
  return parseRecipe(recipe, 'the recipe');
}

/** Positions that a row can have, the classification token's included. */
function positionsOf({ maxTokens, classificationToken }: RewardRecipe): number {
  return maxTokens + (classificationToken === null ? 0 : 1);
}

function checkLimit(recipe: RewardRecipe, positions: number, path: string): void {
  if (positionsOf(recipe) <= positions) return;
  throw new ConfigError(
    `recipe.maxTokens: ${path} was made for ${positions} tokens, ${positionsOf(recipe)} were asked for.`,
  );
}

function checkOwnTokenizer(path: string, { config }: RewardFolder, recipe: RewardRecipe): void {
  if (!existsSync(join(path, 'tokenizer.json'))) return;
  const { classificationToken } = recipe;
  checkTokenizer(loadTokenizer(path), { vocabSize: config.vocabSize, classificationToken }, path);
}

interface FolderContent {
  path: string;
  source: RewardFolder;
  dtype: RewardDType;
  recipe: RewardRecipe;
  personaTemplate: string | null;
  onProgress: ExportRewardContext['onProgress'];
}

function writeFolder(target: string, content: FolderContent): ExportedRewardModel {
  const pending = join(
    dirname(target),
    `.${basename(target)}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`,
  );
  try {
    mkdirSync(pending, { recursive: true });
    const { path, source, dtype, recipe, personaTemplate, onProgress } = content;
    const bytes = writeModel(pending, source, recipe, dtype, onProgress);
    writeJson(pending, RECIPE_FILE, recipe);
    writeJson(pending, 'config.json', source.configJson);
    copyTokenizer(path, pending);
    const template = join(pending, PERSONA_TEMPLATE_FILE);
    if (personaTemplate === null) writeFileAtomically(template, `${DEFAULT_PERSONA_TEMPLATE}\n`);
    else copyFileSync(personaTemplate, template);
    renameSync(pending, target);
    return { folder: target, recipe, dtype, parameters: parametersOf(source), bytes };
  } catch (cause) {
    rmSync(pending, { recursive: true, force: true });
    if (cause instanceof CheckpointError) throw cause;
    throw new CheckpointError(`The reward model cannot be written to ${target}: ${reasonOf(cause)}.`, {
      details: { folder: target },
      cause,
    });
  }
}

function parametersOf({ weights }: RewardFolder): number {
  const counts = [...weights.tensors.values()].filter(({ name }) => name !== 'lm_head.weight');
  return counts.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
}

/** Writes both files and gives their size. */
function writeModel(
  folder: string,
  { config, head, weights }: RewardFolder,
  recipe: RewardRecipe,
  dtype: RewardDType,
  onProgress: ExportRewardContext['onProgress'],
): number {
  const dataFile = `${MODEL_FILE}.data`;
  const builder = decoderGraph({
    ...{ config, source: weights, dtype, headWeight: head.weight, dataFile },
    maxPositions: positionsOf(recipe),
  });
  const dataBytes = writeData(join(folder, dataFile), builder, onProgress);
  const model = encodeModel({
    irVersion: IR_VERSION,
    producerName: 'persona-dpo',
    producerVersion: '',
    opsetImport: [
      { domain: '', version: OPSET },
      { domain: MICROSOFT, version: 1 },
    ],
    graph: builder.graph(
      'reward',
      `${head.kind} reward of a ${config.architecture} decoder, ${dtype} weights`,
    ),
  });
  writeFileAtomically(join(folder, MODEL_FILE), model);
  return dataBytes + model.byteLength;
}

function writeData(
  path: string,
  builder: GraphBuilder,
  onProgress: ExportRewardContext['onProgress'],
): number {
  const tensors = builder.largeTensors();
  const total = tensors.reduce((sum, { byteLength }) => sum + paddedLength(byteLength), 0);
  let done = 0;
  const padding = new Uint8Array(ALIGNMENT);
  const pending = writePending(path, (sink) => {
    for (const { name, byteLength, bytes } of tensors) {
      const content = bytes();
      if (content.byteLength !== byteLength) {
        throw new CheckpointError(`${name} takes ${byteLength} bytes, ${content.byteLength} came.`);
      }
      sink(content);
      sink(padding.subarray(0, paddedLength(byteLength) - byteLength));
      done += paddedLength(byteLength);
      onProgress?.(done, total);
    }
  });
  pending.commit();
  return total;
}

function paddedLength(byteLength: number): number {
  return Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT;
}

function writeJson(folder: string, name: string, content: unknown): void {
  writeFileAtomically(join(folder, name), `${JSON.stringify(content, null, 2)}\n`);
}
