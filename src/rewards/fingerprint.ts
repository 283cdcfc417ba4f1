/** What identifies a reward model's files. */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type FingerprintOptions, fileHash, weightFile } from '../models/model-fingerprint.js';
import type { RewardRecipe } from './recipe.js';

/** SHA-256 in hex over the recipe, the ONNX file and its external data. */
export async function folderFingerprint(
  folder: string,
  recipe: RewardRecipe,
  options: FingerprintOptions = {},
): Promise<string> {
  const model = join(folder, recipe.model);
  const hash = createHash('sha256').update(JSON.stringify(recipe));
  // The names that exporters give to external data.
  for (const path of [model, `${model}.data`, `${model}_data`]) {
    if (existsSync(path)) hash.update(await fileHash(weightFile(path), options));
  }
  return hash.digest('hex');
}
