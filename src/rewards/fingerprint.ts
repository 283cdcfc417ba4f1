/** What identifies a reward model's files. */

import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { type FingerprintOptions, fileHash, weightFile } from '../models/model-fingerprint.js';
import type { RewardRecipe } from './recipe.js';

/** Files of a model folder that ONNX Runtime does not read. What else lies there may be external data, whatever its name. */
const OTHER_FILES = new Set(['.json', '.jinja', '.md', '.model', '.safetensors', '.txt']);

/** SHA-256 in hex over the recipe, the ONNX file and its external data. */
export async function folderFingerprint(
  folder: string,
  recipe: RewardRecipe,
  options: FingerprintOptions = {},
): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(recipe));
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    if (OTHER_FILES.has(extname(name)) || !statSync(path).isFile()) continue;
    hash.update(name).update(await fileHash(weightFile(path), options));
  }
  return hash.digest('hex');
}
