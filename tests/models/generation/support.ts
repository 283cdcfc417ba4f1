import type { Completion } from '../../../src/models/generation/generate.js';
import type { LanguageModel } from '../../../src/models/language-model.js';
import type { LoraAdapter } from '../../../src/models/lora-adapter.js';
import { rowLogps } from '../decoder/support.js';

/** Log-probabilities of a completion by the packed forward pass that training uses. */
export async function fullPassLogps(
  model: LanguageModel,
  prompt: readonly number[],
  completion: readonly number[],
  adapter: LoraAdapter | null = null,
): Promise<Float32Array> {
  const [promptIds, chosenIds] = [[...prompt], [...completion]];
  const pair = { id: 'x', promptIds, chosenIds, rejectedIds: [0] };
  return (await rowLogps(model, [pair], { adapter })).subarray(0, completion.length);
}

/** `ids` up to and with the first of `stops`. */
export function upToStop(ids: readonly number[], stops: readonly number[]): number[] {
  const at = ids.findIndex((id) => stops.includes(id));
  return at === -1 ? [...ids] : ids.slice(0, at + 1);
}

export function idsOf(completions: readonly (readonly Completion[])[]): number[][][] {
  return completions.map((samples) => samples.map(({ ids }) => ids));
}
