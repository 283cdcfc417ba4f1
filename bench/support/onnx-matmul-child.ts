/** The rate of one float32 matrix product in ONNX Runtime, in a process of its own; prints `{ flopsPerSecond }`. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OPSET } from '../../src/rewards/export/decoder-graph.js';
import { GraphBuilder } from '../../src/rewards/export/graph-builder.js';
import { encodeModel, IR_VERSION } from '../../src/rewards/export/onnx-proto.js';
import { type OnnxTensor, openOnnxSession } from '../../src/runtime/onnx-session.js';
import { childInput } from './child.js';

export interface OnnxMatmulRequest {
  /** `[rows, inner] x [inner, columns]` */
  shape: readonly [rows: number, inner: number, columns: number];
  executionProvider: 'cpu' | 'cuda';
  threads: number;
}

export interface OnnxMatmulReport {
  /** Multiply-adds count as two. */
  flopsPerSecond: number;
}

/** Products in one run, so that what a run costs by itself does not count. */
const PRODUCTS = 16;
const ATTEMPTS = 7;

const { shape, executionProvider, threads } = childInput<OnnxMatmulRequest>();
const [rows, inner, columns] = shape;
const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-matmul-'));
try {
  const path = join(folder, 'matmul.onnx');
  writeModel(path);
  const session = await openOnnxSession(path, { executionProvider, threads });
  const x: OnnxTensor = {
    type: 'float32',
    dims: [rows, inner],
    data: new Float32Array(rows * inner).fill(1),
  };
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < ATTEMPTS; i++) {
    const begun = performance.now();
    await session.run({ x }, ['corner']);
    best = Math.min(best, (performance.now() - begun) / 1e3);
  }
  const report: OnnxMatmulReport = { flopsPerSecond: (2 * rows * inner * columns * PRODUCTS) / best };
  await session.dispose();
  console.log(JSON.stringify(report));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Products of one input with several constant matrices, of which only a corner comes out. */
function writeModel(file: string): void {
  const builder = new GraphBuilder('matmul.onnx.data');
  builder.input('x', 'float32', [rows, inner]);
  const corners = Array.from({ length: PRODUCTS }, (_, i) => {
    const weight = builder.tensor(
      `w${i}`,
      'float32',
      [inner, columns],
      () => new Uint8Array(new Float32Array(inner * columns).fill(1 / (inner + i)).buffer),
    );
    const product = builder.add('MatMul', ['x', weight]);
    return builder.add('Slice', [product, builder.ints(0, 0), builder.ints(1, 1)]);
  });
  builder.add('Sum', corners, { names: ['corner'] });
  builder.output('corner', 'float32', [1, 1]);
  const bytes = builder.largeTensors().map((tensor) => {
    const padded = new Uint8Array(Math.ceil(tensor.byteLength / 4096) * 4096);
    padded.set(tensor.bytes());
    return padded;
  });
  writeFileSync(`${file}.data`, Buffer.concat(bytes));
  writeFileSync(
    file,
    encodeModel({
      irVersion: IR_VERSION,
      producerName: 'persona-dpo',
      producerVersion: '',
      opsetImport: [{ domain: '', version: OPSET }],
      graph: builder.graph('matmul', 'matrix products'),
    }),
  );
}
