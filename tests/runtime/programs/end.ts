/** Uses TensorFlow and ends in the way that its argument names. See ../exit.test.ts. */

import { attr } from '../../../src/runtime/attributes.js';
import { execute, executeAsync } from '../../../src/runtime/execute.js';
import { call, defineFunction } from '../../../src/runtime/graph-function.js';
import { startRuntime } from '../../../src/runtime/runtime.js';
import { type Tensor, tensor } from '../../../src/runtime/tensor.js';
import { Variable } from '../../../src/runtime/variable.js';

const rt = startRuntime({ threads: 2 });
const float32 = { T: attr.type('float32') };
const square = (n: number) => tensor('float32', [n, n], new Float32Array(n * n).fill(1));
const left: Tensor[] = [];

function leaveALotBehind(): void {
  const a = square(32);
  for (let i = 0; i < 2000; i++) left.push(...execute('MatMul', [a, a], float32));
  const variable = new Variable(a);
  const both = defineFunction('both', (g) => {
    const x = g.input('float32');
    return [g.op('Tanh', [x], float32), g.op('MatMul', [x, x], float32)];
  });
  left.push(variable.resource, ...call(both, [a]));
}

const endings: Record<string, () => void> = {
  'started only': () => {},
  'live tensors': leaveALotBehind,
  'process.exit': () => {
    leaveALotBehind();
    process.exit(0);
  },
  'process.exit in an operation': () => {
    const a = square(2048);
    for (let i = 0; i < 20; i++) executeAsync('MatMul', [a, a], float32).catch(() => {});
    setTimeout(() => process.exit(0), 50);
  },
  'operation not deleted': () => {
    for (let i = 0; i < 1000; i++) rt.functions.TFE_NewOp(rt.context, 'MatMul', rt.status.handle);
  },
};

endings[process.argv[2] as string]?.();
