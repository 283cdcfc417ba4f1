/** An ONNX file of a user's own: token ids in, rewards out. */

import { CheckpointError } from '../errors.js';
import type { OnnxSession, OnnxTensor } from '../runtime/onnx-session.js';
import { checkValues, type ExpectedValue } from './model-inputs.js';
import { paddedIds, type RewardNetwork } from './network.js';
import type { RewardRecipe } from './recipe.js';
import { longest } from './row-batches.js';

type CustomHead = Extract<RewardRecipe['head'], { kind: 'custom' }>;

export function customNetwork(session: OnnxSession, head: CustomHead, path: string): RewardNetwork {
  const { ids, attentionMask, positions } = head.inputs;
  const names = [ids, attentionMask, positions].filter((name) => name !== null);
  const expected = names.map((name): ExpectedValue => ({ name, types: ['int64', 'int32'], ranks: [2] }));
  checkValues(
    session,
    { inputs: expected, output: { name: head.output, types: ['float32'], ranks: [1, 2, 3] } },
    path,
  );
  const typeOf = (name: string) => session.inputs.find((input) => input.name === name)?.type;
  return {
    sharesPrefixes: false,
    release: () => undefined,
    async run({ rows }) {
      const all = rows.map((row) => row.ids);
      const width = longest(all);
      const values: [name: string | null, rows: readonly (readonly number[])[]][] = [
        [ids, all],
        [attentionMask, all.map((row) => row.map(() => 1))],
        [positions, all.map(() => Array.from({ length: width }, (_, i) => i))],
      ];
      const feeds = Object.fromEntries(
        values.flatMap(([name, each]) =>
          name === null ? [] : [[name, asType(paddedIds(each, width), typeOf(name))] as const],
        ),
      );
      const { [head.output]: output } = await session.run(feeds, [head.output]);
      const lengths = all.map(({ length }) => length);
      return {
        rewards: rewardsOf(output as OnnxTensor, lengths, width, path),
        tokens: lengths.reduce((sum, length) => sum + length, 0),
      };
    },
  };
}

function asType(tensor: OnnxTensor, type: string | undefined): OnnxTensor {
  if (type !== 'int32') return tensor;
  return { type, dims: tensor.dims, data: Int32Array.from(tensor.data as BigInt64Array, Number) };
}

/** Rewards `[rows]` or `[rows, 1]`, or those at the last tokens of `[rows, tokens]` or `[rows, tokens, 1]`. */
function rewardsOf(
  { dims, data }: OnnxTensor,
  lengths: readonly number[],
  width: number,
  path: string,
): Float32Array {
  const values = data as Float32Array;
  const rows = lengths.length;
  const [first, second = 1, third = 1] = dims;
  if (first === rows && second === 1 && third === 1) return values;
  if (first === rows && second === width && third === 1) {
    return Float32Array.from(lengths, (length, row) => values[row * width + length - 1]!);
  }
  throw new CheckpointError(
    `${path} gives [${dims.join(', ')}] for ${rows} rows of ${width} tokens; expected [${rows}], [${rows}, 1], [${rows}, ${width}] or [${rows}, ${width}, 1].`,
  );
}
