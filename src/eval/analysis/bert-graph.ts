/** A BERT encoder (Devlin et al. 2018) as an ONNX graph, in the names that transformers.js expects. */

import { CheckpointError } from '../../errors.js';
import { readFloat32, type WeightSource, weightInfo } from '../../models/weight-source.js';
import { GraphBuilder } from '../../rewards/export/graph-builder.js';
import { transposed } from '../../rewards/export/weight-numbers.js';
import type { BertConfig } from './bert-config.js';

/** LayerNormalization came with it. */
export const BERT_OPSET = 17;

const FLOAT32 = 1;
/** Added to the scores of padding: nothing is left of it behind the softmax. */
const MASKED = -1e9;

/**
 * Token ids, mask and types, int64 `[B, T]`, to the last layer's hidden states, float32 `[B, T, D]`.
 *
 * @param dataFile Name of the file for the weights
 */
export function bertGraph(config: BertConfig, weights: WeightSource, dataFile: string): GraphBuilder {
  return new BertGraph(config, weights, new GraphBuilder(dataFile)).build();
}

class BertGraph {
  readonly #config: BertConfig;
  readonly #weights: WeightSource;
  readonly #g: GraphBuilder;
  /** Checkpoints of a BERT with a head have it. */
  readonly #prefix: string;

  constructor(config: BertConfig, weights: WeightSource, graph: GraphBuilder) {
    this.#config = config;
    this.#weights = weights;
    this.#g = graph;
    this.#prefix = weights.tensors.has('bert.embeddings.word_embeddings.weight') ? 'bert.' : '';
  }

  build(): GraphBuilder {
    const g = this.#g;
    const [ids = '', mask = '', types = ''] = ['input_ids', 'attention_mask', 'token_type_ids'].map((name) =>
      g.input(name, 'int64', ['batch', 'tokens']),
    );
    g.within('embeddings');
    let x = this.#embedded(ids, types);
    const added = this.#addedToScores(mask);
    for (let layer = 0; layer < this.#config.layers; layer++) {
      g.within(`layers.${layer}`);
      x = this.#layer(x, added, `encoder.layer.${layer}`);
    }
    g.within('');
    g.add('Identity', [x], { names: ['last_hidden_state'] });
    g.output('last_hidden_state', 'float32', ['batch', 'tokens', this.#config.hiddenSize]);
    return g;
  }

  #embedded(ids: string, types: string): string {
    const g = this.#g;
    const { vocabSize, positions, types: typeCount, hiddenSize } = this.#config;
    const table = (name: string, rows: number) =>
      this.#weight(`embeddings.${name}_embeddings.weight`, [rows, hiddenSize]);
    const words = g.add('Gather', [table('word', vocabSize), ids]);
    const length = g.add('Slice', [g.add('Shape', [ids]), g.ints(1), g.ints(2)]);
    const places = g.add('Slice', [table('position', positions), g.ints(0), length, g.ints(0)]);
    const kinds = g.add('Gather', [table('token_type', typeCount), types]);
    return this.#norm(g.add('Add', [g.add('Add', [words, kinds]), places]), 'embeddings.LayerNorm');
  }

  /** `[B, 1, 1, T]`: nothing for tokens, much too little for padding. */
  #addedToScores(mask: string): string {
    const g = this.#g;
    const kept = g.add('Cast', [mask], { attributes: { to: FLOAT32 } });
    const padding = g.add('Mul', [g.add('Sub', [g.float(1), kept]), g.float(MASKED)]);
    return g.add('Unsqueeze', [padding, g.ints(1, 2)]);
  }

  #layer(x: string, added: string, name: string): string {
    const g = this.#g;
    const { hiddenSize, intermediateSize } = this.#config;
    const attended = this.#attention(x, added, `${name}.attention.self`);
    const mixed = this.#linear(attended, `${name}.attention.output.dense`, hiddenSize, hiddenSize);
    const y = this.#norm(g.add('Add', [mixed, x]), `${name}.attention.output.LayerNorm`);
    const wide = this.#gelu(this.#linear(y, `${name}.intermediate.dense`, hiddenSize, intermediateSize));
    const narrow = this.#linear(wide, `${name}.output.dense`, intermediateSize, hiddenSize);
    return this.#norm(g.add('Add', [narrow, y]), `${name}.output.LayerNorm`);
  }

  #attention(x: string, added: string, name: string): string {
    const g = this.#g;
    const { hiddenSize, heads } = this.#config;
    const headSize = hiddenSize / heads;
    const projected = (which: string, order: readonly number[]) => {
      const all = this.#linear(x, `${name}.${which}`, hiddenSize, hiddenSize);
      // 0 takes over the size that is there.
      const split = g.add('Reshape', [all, g.ints(0, 0, heads, headSize)]);
      return g.add('Transpose', [split], { attributes: { perm: order } });
    };
    const queries = projected('query', [0, 2, 1, 3]);
    const keys = projected('key', [0, 2, 3, 1]);
    const values = projected('value', [0, 2, 1, 3]);
    const scores = g.add('Mul', [g.add('MatMul', [queries, keys]), g.float(1 / Math.sqrt(headSize))]);
    const shares = g.add('Softmax', [g.add('Add', [scores, added])], { attributes: { axis: -1 } });
    const joined = g.add('Transpose', [g.add('MatMul', [shares, values])], {
      attributes: { perm: [0, 2, 1, 3] },
    });
    return g.add('Reshape', [joined, g.ints(0, 0, hiddenSize)]);
  }

  /** `x / 2 (1 + erf(x / sqrt 2))`. */
  #gelu(x: string): string {
    const g = this.#g;
    const erf = g.add('Erf', [g.add('Mul', [x, g.float(Math.SQRT1_2)])]);
    return g.add('Mul', [g.add('Mul', [x, g.float(0.5)]), g.add('Add', [erf, g.float(1)])]);
  }

  #linear(x: string, name: string, inputs: number, outputs: number): string {
    const g = this.#g;
    const stored = this.#name(`${name}.weight`, [outputs, inputs]);
    const matrix = g.tensor(stored, 'float32', [inputs, outputs], () =>
      bytesOf(transposed(readFloat32(this.#weights, stored), outputs, inputs)),
    );
    return g.add('Add', [g.add('MatMul', [x, matrix]), this.#weight(`${name}.bias`, [outputs])]);
  }

  #norm(x: string, name: string): string {
    const { hiddenSize, normEps } = this.#config;
    const scaleAndShift = ['weight', 'bias'].map((each) => this.#weight(`${name}.${each}`, [hiddenSize]));
    return this.#g.add('LayerNormalization', [x, ...scaleAndShift], {
      attributes: { axis: -1, epsilon: { float: normEps } },
    });
  }

  #weight(name: string, shape: readonly number[]): string {
    const stored = this.#name(name, shape);
    return this.#g.tensor(stored, 'float32', shape, () => bytesOf(readFloat32(this.#weights, stored)));
  }

  /** @throws CheckpointError where the weight is missing or of another shape */
  #name(name: string, shape: readonly number[]): string {
    const info = weightInfo(this.#weights, this.#prefix + name);
    if (info.shape.join() !== shape.join()) {
      throw new CheckpointError(
        `${info.name}: expected the shape [${shape.join(', ')}] of config.json, got [${info.shape.join(', ')}].`,
      );
    }
    return info.name;
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
