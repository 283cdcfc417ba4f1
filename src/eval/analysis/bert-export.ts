/** A BERT's Hugging Face folder in the form that transformers.js loads. */

import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { copyFile, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { openSafetensorsFolder } from '../../models/safetensors.js';
import { ALIGNMENT } from '../../rewards/export/graph-builder.js';
import { encodeModel, IR_VERSION } from '../../rewards/export/onnx-proto.js';
import { readBertConfig } from './bert-config.js';
import { BERT_OPSET, bertGraph } from './bert-graph.js';

const DATA_FILE = 'model.onnx_data';
/** What is copied where it is there. */
const COMPANIONS = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json'];

/**
 * Writes `onnx/model.onnx` (float32, IR 11, opset 17) of a BERT with its weights beside it, and its tokenizer, into a
 * folder under `cacheDir`; once for each state of the model. The folder appears whole or not at all.
 *
 * @returns the folder
 * @throws CheckpointError for a model that is no BERT, and for weights that do not fit its configuration
 */
export async function exportBert(folder: string, cacheDir: string): Promise<string> {
  const config = readBertConfig(folder);
  const target = join(resolve(cacheDir), `bert-${stateOf(folder)}`);
  if (existsSync(target)) return target;
  const weights = openSafetensorsFolder(folder);
  const pending = `${target}.${process.pid}.tmp`;
  try {
    const graph = bertGraph(config, weights, DATA_FILE);
    await mkdir(join(pending, 'onnx'), { recursive: true });
    await writeFile(join(pending, 'onnx', DATA_FILE), dataOf(graph.largeTensors()));
    const model = encodeModel({
      ...{ irVersion: IR_VERSION, producerName: 'persona-dpo', producerVersion: '' },
      opsetImport: [{ domain: '', version: BERT_OPSET }],
      graph: graph.graph('bert', 'a BERT encoder'),
    });
    await writeFile(join(pending, 'onnx', 'model.onnx'), model);
    for (const file of COMPANIONS) {
      if (existsSync(join(folder, file))) await copyFile(join(folder, file), join(pending, file));
    }
    await rename(pending, target).catch((error: unknown) => {
      // Another process was faster.
      if (!existsSync(target)) throw error;
    });
    return target;
  } finally {
    weights.close();
    await rm(pending, { recursive: true, force: true });
  }
}

/** A short name for the model as it is now. */
function stateOf(folder: string): string {
  const hash = createHash('sha256');
  for (const file of ['config.json', 'tokenizer.json', 'model.safetensors']) {
    const path = join(folder, file);
    hash.update(`${file}\0`);
    if (existsSync(path)) hash.update(readFileSync(path));
  }
  return hash.digest('hex').slice(0, 16);
}

function dataOf(tensors: ReturnType<ReturnType<typeof bertGraph>['largeTensors']>): Uint8Array {
  const padded = tensors.map(({ byteLength }) => Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT);
  const data = new Uint8Array(padded.reduce((sum, bytes) => sum + bytes, 0));
  let offset = 0;
  for (const [i, { bytes }] of tensors.entries()) {
    data.set(bytes(), offset);
    offset += padded[i] as number;
  }
  return data;
}
