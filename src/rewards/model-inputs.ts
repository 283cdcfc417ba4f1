/** Whether an ONNX file takes and gives what a recipe says. */

import { CheckpointError } from '../errors.js';
import type { OnnxValue } from '../runtime/onnx-session.js';

/** An input or output as it is expected: its type, and its number of dimensions. */
export interface ExpectedValue {
  name: string;
  types: readonly string[];
  /** Numbers of dimensions that it may have. */
  ranks: readonly number[];
}

/**
 * Holds what a file has against what is expected: all inputs and no others, and the output.
 *
 * @throws CheckpointError saying what was expected and what came
 */
export function checkValues(
  { inputs, outputs }: { inputs: readonly OnnxValue[]; outputs: readonly OnnxValue[] },
  expected: { inputs: readonly ExpectedValue[]; output: ExpectedValue },
  path: string,
): void {
  const problems = [
    ...expected.inputs.flatMap((value) => problemWith(value, inputs, 'input')),
    ...inputs
      .filter(({ name }) => !expected.inputs.some((value) => value.name === name))
      .map(({ name }) => `the input ${name} is not known`),
    ...problemWith(expected.output, outputs, 'output'),
  ];
  if (problems.length === 0) return;
  const names = (values: readonly { name: string }[]) => values.map(({ name }) => name).join(', ');
  throw new CheckpointError(
    `${path} is not the model that its recipe describes: ${problems.slice(0, 4).join('; ')}. Expected inputs: ${names(expected.inputs)}; output: ${expected.output.name}. The file's inputs: ${names(inputs)}; outputs: ${names(outputs)}.`,
    { details: { path, problems } },
  );
}

function problemWith(
  { name, types, ranks }: ExpectedValue,
  values: readonly OnnxValue[],
  what: 'input' | 'output',
): string[] {
  const found = values.find((value) => value.name === name);
  if (found === undefined) return [`there is no ${what} ${name}`];
  const { type, shape } = found;
  if (!types.includes(type)) return [`the ${what} ${name} is ${type}, ${types.join(' or ')} was expected`];
  if (!ranks.includes(shape.length)) {
    return [
      `the ${what} ${name} has ${shape.length} dimensions [${shape.join(', ')}], ${ranks.join(' or ')} were expected`,
    ];
  }
  return [];
}
