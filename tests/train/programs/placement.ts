/**
 * Trains on a GPU, or where there is none on the second of two virtual CPU devices, which plays the accelerator:
 * `placement.ts FILE` with the options in a JSON file. Prints where weights and optimizer state lie, and the bytes that came back to the host in steps.
 */
import { readFileSync } from 'node:fs';
import { LanguageModel } from '../../../src/models/language-model.js';
import { runtime, startRuntime } from '../../../src/runtime/runtime.js';
import { Tensor } from '../../../src/runtime/tensor.js';
import { Variable } from '../../../src/runtime/variable.js';
import type { TrainOptions } from '../../../src/train/options.js';
import { train } from '../../../src/train/train.js';

startRuntime({ virtualCpuDevices: 2 });

const devices = new Set<string>();
const seen: { models: LanguageModel[]; states: Variable[] } = { models: [], states: [] };
const shortName = (device: string) => device.replace(/^.*device:/, '');
const place = (tensor: Tensor) => devices.add(shortName(tensor.device));

// Weights pass through `replace` after every update, and optimizer state is made of variables.
const replace = LanguageModel.prototype.replace;
LanguageModel.prototype.replace = function (id, weight) {
  place(weight);
  seen.models.push(this);
  replace.call(this, id, weight);
};
const assign = Variable.prototype.assign;
Variable.prototype.assign = function (value) {
  place(value);
  seen.states.push(this);
  assign.call(this, value);
};

let hostBytes = 0;
const data = Tensor.prototype.data;
Tensor.prototype.data = function () {
  const values = data.call(this);
  hostBytes += values.byteLength;
  return values;
};

const bytesByStep: number[] = [];
await train(JSON.parse(readFileSync(process.argv[2] as string, 'utf8')) as TrainOptions, {
  onEvent: (event) => {
    if (event.type === 'step') bytesByStep.push(hostBytes);
    hostBytes = 0;
  },
});
console.log(
  JSON.stringify({
    device: shortName(runtime().device),
    devices: [...devices],
    weights: seen.models.length,
    states: seen.states.length,
    bytesByStep,
  }),
);
