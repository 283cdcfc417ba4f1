/** A reward model's folder, ready to score. */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createPersonaTemplate, loadPersonaTemplate, type PersonaTemplate } from '../data/persona-prompt.js';
import { requireTemplate } from '../data/prompt.js';
import { loadTokenizer, type Tokenizer } from '../data/tokenizer.js';
import { CheckpointError, ConfigError } from '../errors.js';
import { readJsonFile } from '../models/json-file.js';
import { answerRows } from './answer-rows.js';
import { folderFingerprint } from './fingerprint.js';
import { rewardNetwork } from './network.js';
import { openSession } from './open-session.js';
import { RECIPE_FILE, type RewardRecipe, readRecipe } from './recipe.js';
import type { RewardModel } from './reward-model.js';
import type { RewardModelOptions } from './reward-options.js';
import { rewardModelOptionsSchema } from './reward-options.js';
import { ScoringQueue } from './scoring-queue.js';
import { checkTokenizer } from './tokenizer-check.js';

export interface LoadRewardModelOptions extends Omit<RewardModelOptions, 'model'> {
  /** Folder where hashes of large files are remembered. Default: nowhere. */
  hashCacheDir?: string | null;
}

/**
 * Loads a reward model as `export-reward` and `train-reward` write it, or one with a recipe of the user's own.
 *
 * A persona enters as the system message, in the words of the recipe's template or the one that is given; without one
 * the conversation is scored as it is. Candidates are computed together, and what those of one request have in common
 * once; the event loop is free meanwhile.
 *
 * @throws CheckpointError naming file and problem; ConfigError when CUDA is asked for and cannot be had;
 * RuntimeInstallError when ONNX Runtime is not installed
 */
export async function loadRewardModel(
  folder: string,
  { hashCacheDir = null, ...given }: LoadRewardModelOptions = {},
): Promise<RewardModel> {
  const options = parseOptions(folder, given);
  checkFolder(folder);
  const recipe = readRecipe(folder);
  const path = join(folder, recipe.model);
  if (!existsSync(path)) {
    throw new CheckpointError(`There is no ${path}, which ${join(folder, RECIPE_FILE)} names as the model.`, {
      details: { folder },
    });
  }
  const tokenizer = loadTokenizer(folder);
  const { classificationToken } = recipe;
  const classificationId = checkTokenizer(
    tokenizer,
    { vocabSize: vocabSizeOf(folder), classificationToken },
    folder,
  );
  requireTemplate(tokenizer);
  const personaTemplate = personaTemplateOf(folder, recipe, options.personaTemplate);
  const { executionProvider, threads, batchTokens } = options;
  const fingerprint = await folderFingerprint(folder, recipe, { cacheDir: hashCacheDir });
  const session = await openSession(path, { executionProvider, threads });
  const { executionProvider: provider } = session;
  const identity = identityOf(recipe, fingerprint, { tokenizer, personaTemplate }, provider);
  try {
    const network = rewardNetwork(session, recipe, path);
    const queue = new ScoringQueue(network, { batchTokens, name: folder });
    return {
      identity,
      executionProvider: provider,
      async score(request, { signal } = {}) {
        signal?.throwIfAborted();
        const rows = answerRows(request, { tokenizer, recipe, personaTemplate, classificationId });
        return queue.score(rows, signal);
      },
      usage: () => queue.usage(),
      async dispose() {
        await queue.settled();
        await session.dispose();
      },
    };
  } catch (error) {
    await session.dispose();
    throw error;
  }
}

function parseOptions(folder: string, given: Omit<RewardModelOptions, 'model'>) {
  const parsed = rewardModelOptionsSchema.safeParse({ ...given, model: folder });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new ConfigError(problems.join('; '));
}

function checkFolder(folder: string): void {
  if (existsSync(join(folder, RECIPE_FILE))) return;
  const hint = existsSync(join(folder, 'model.safetensors'))
    ? ` It is a Hugging Face folder; make one for ONNX Runtime of it: persona-dpo export-reward --model ${folder} --output FOLDER.`
    : existsSync(folder)
      ? ''
      : ' There is no such folder.';
  throw new CheckpointError(`${folder} is no reward model: it has no ${RECIPE_FILE}.${hint}`, {
    details: { folder },
  });
}

/** Rows of the embedding, where a configuration lies beside the model. */
function vocabSizeOf(folder: string): number | null {
  const path = join(folder, 'config.json');
  if (!existsSync(path)) return null;
  const { vocab_size: size } = readJsonFile(path);
  return typeof size === 'number' ? size : null;
}

function personaTemplateOf(folder: string, recipe: RewardRecipe, given: string | null): PersonaTemplate {
  if (given !== null) return loadPersonaTemplate(given);
  return recipe.personaTemplate === null
    ? createPersonaTemplate()
    : loadPersonaTemplate(join(folder, recipe.personaTemplate));
}

/** Everything that scores depend on; where the files lie is not part of it. */
function identityOf(
  { head }: RewardRecipe,
  fingerprint: string,
  { tokenizer, personaTemplate }: { tokenizer: Tokenizer; personaTemplate: PersonaTemplate },
  executionProvider: string,
): string {
  return [
    `${head.kind} reward${head.kind === 'custom' ? '' : ` ${head.dtype}`}`,
    `files ${fingerprint}`,
    `tokenizer and template ${tokenizer.fingerprint}`,
    `persona template ${createHash('sha256').update(personaTemplate.source).digest('hex')}`,
    `on ${executionProvider}`,
  ].join(', ');
}
