/** Saving what was trained: a model in transformers' layout, PEFT's adapter, the head alone. */

import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { endOfTurnTokenId, type Tokenizer } from '../../data/tokenizer.js';
import { adapterTensors } from '../../models/adapter-files.js';
import { writeFileAtomically } from '../../models/atomic-file.js';
import { hfTensors } from '../../models/hf-tensors.js';
import { readJsonFile } from '../../models/json-file.js';
import { mergedWeight } from '../../models/merge.js';
import { modelConfigToJson } from '../../models/model-config.js';
import { writeModelFolder } from '../../models/model-folder.js';
import { adapterConfigToJson } from '../../models/peft-config.js';
import { type TensorToWrite, writeSafetensors } from '../../models/safetensors-write.js';
import { classifierJson, SCORE } from './backbone-files.js';
import type { RewardNetwork } from './load-backbone.js';
import type { RewardHead } from './reward-head.js';

export interface SaveClassifierOptions {
  /** Jinja file of the chat template that was used in place of the model's own. Default: none. */
  chatTemplatePath?: string | null;
}

/**
 * Writes the model, its adapter merged into it, as transformers' `...ForSequenceClassification` with one label, which
 * reads its reward at the last token that is no padding. In the model's dtype; with an adapter in float32, since a sum
 * rounded to bfloat16 would lose much of what was learnt. The padding token is one that ends no answer: where a model's
 * own does (SmolLM2's is its end of turn), transformers would look for the reward one token before the end.
 *
 * @param folder Is made; what it held before is replaced
 * @throws CheckpointError when it cannot be written
 */
export function saveClassifier(
  { loaded, head }: RewardNetwork,
  folder: string,
  { chatTemplatePath = null }: SaveClassifierOptions = {},
): void {
  const { model, origin, tokenizer } = loaded;
  const { adapter } = model;
  const dtype = adapter === null ? model.dtype : 'float32';
  const merged = (id: string) => (adapter === null ? undefined : mergedWeight(model, adapter, id));
  const padTokenId = paddingOf(model.config.padTokenId, tokenizer);
  const base = origin.configJson ?? modelConfigToJson(model.config, { dtype });
  const configJson = classifierJson(base, padTokenId);
  const pending = join(dirname(folder), `.${basename(folder)}.${process.pid}.tmp`);
  rmSync(pending, { recursive: true, force: true });
  try {
    writeModelFolder(pending, {
      config: model.config,
      origin: { ...origin, configJson },
      dtype,
      tensors: [...hfTensors(model, dtype, merged), scoreTensor(SCORE, head)],
    });
    if (tokenizer !== null) setPadding(pending, tokenizer, padTokenId);
    if (chatTemplatePath !== null) copyFileSync(chatTemplatePath, join(pending, 'chat_template.jinja'));
    rmSync(folder, { recursive: true, force: true });
    renameSync(pending, folder);
  } finally {
    rmSync(pending, { recursive: true, force: true });
  }
}

/** A token that pads and never ends a response: the model's own, the tokenizer's, or another special one. */
function paddingOf(own: number | null, tokenizer: Tokenizer | null): number | null {
  if (tokenizer === null) return own;
  const ends = new Set([endOfTurnTokenId(tokenizer), tokenizer.eosTokenId]);
  const { padTokenId, unkTokenId, bosTokenId, specialTokenIds } = tokenizer;
  const candidates = [padTokenId, own, unkTokenId, bosTokenId, ...specialTokenIds];
  return candidates.find((id): id is number => id !== null && !ends.has(id)) ?? null;
}

/** Writes the padding token into the tokenizer's files, for programs that pad by them. */
function setPadding(folder: string, tokenizer: Tokenizer, padTokenId: number | null): void {
  const token = padTokenId === null ? undefined : tokenizer.idToToken(padTokenId);
  if (token === undefined) return;
  for (const name of ['tokenizer_config.json', 'special_tokens_map.json']) {
    const path = join(folder, name);
    if (!existsSync(path)) continue;
    const json = { ...readJsonFile(path), pad_token: token };
    writeFileAtomically(path, `${JSON.stringify(json, null, 2)}\n`);
  }
}

/**
 * Writes the adapter as a PEFT folder for transformers' classifier on the same base model: `task_type` SEQ_CLS, with
 * the head among `modules_to_save`.
 */
export function saveRewardAdapter({ loaded, head }: RewardNetwork, folder: string): void {
  const { model, origin } = loaded;
  const adapter = model.adapter!;
  const { rank, alpha, dropout, useRslora, modules } = adapter.config;
  const config = adapterConfigToJson({
    rank,
    alpha,
    dropout,
    useRslora,
    targetModules: { kind: 'names', names: [...modules] },
    rankPattern: {},
    alphaPattern: {},
    baseModel: origin.id,
    revision: origin.revision,
  });
  mkdirSync(folder, { recursive: true });
  const tensors = [...adapterTensors(adapter), scoreTensor(`base_model.model.${SCORE}`, head)];
  writeSafetensors(join(folder, 'adapter_model.safetensors'), tensors);
  const json = { ...config, task_type: 'SEQ_CLS', modules_to_save: ['score'] };
  writeFileAtomically(join(folder, 'adapter_config.json'), `${JSON.stringify(json, null, 2)}\n`);
}

/** Writes the head alone, as `score.safetensors`. */
export function saveHead(head: RewardHead, folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeSafetensors(join(folder, 'score.safetensors'), [scoreTensor(SCORE, head)]);
}

/** In float32, whatever the model is stored in: it is one row. */
function scoreTensor(name: string, head: RewardHead): TensorToWrite {
  return {
    name,
    dtype: 'float32',
    shape: head.weight.shape,
    bytes: () => {
      const { buffer, byteOffset, byteLength } = head.values();
      return new Uint8Array(buffer, byteOffset, byteLength);
    },
  };
}
