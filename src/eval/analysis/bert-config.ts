/** What of a BERT's config.json its computation depends on. */

import { join } from 'node:path';
import { z } from 'zod';
import { CheckpointError } from '../../errors.js';
import { readJsonFile } from '../../models/json-file.js';

const count = z.number().int().min(1);

const configSchema = z.object({
  model_type: z.literal('bert'),
  hidden_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  intermediate_size: count,
  max_position_embeddings: count,
  layer_norm_eps: z.number().positive(),
  hidden_act: z.literal('gelu'),
  position_embedding_type: z.literal('absolute').default('absolute'),
  type_vocab_size: count,
  vocab_size: count,
});

export interface BertConfig {
  hiddenSize: number;
  layers: number;
  heads: number;
  intermediateSize: number;
  positions: number;
  types: number;
  vocabSize: number;
  normEps: number;
}

/** @throws CheckpointError for a model that is no BERT, or one that computes otherwise than most */
export function readBertConfig(folder: string): BertConfig {
  const path = join(folder, 'config.json');
  const parsed = configSchema.safeParse(readJsonFile(path));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const what = `${issue?.path.join('.')}: ${issue?.message}`;
    throw new CheckpointError(
      `${path}: expected a BERT with absolute positions and GELU, or onnx/model.onnx beside it (${what}).`,
    );
  }
  const config = parsed.data;
  return {
    hiddenSize: config.hidden_size,
    layers: config.num_hidden_layers,
    heads: config.num_attention_heads,
    intermediateSize: config.intermediate_size,
    positions: config.max_position_embeddings,
    types: config.type_vocab_size,
    vocabSize: config.vocab_size,
    normEps: config.layer_norm_eps,
  };
}
