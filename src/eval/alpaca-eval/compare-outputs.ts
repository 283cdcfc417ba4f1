/** From the baseline's outputs and a model's to annotations. */
import { DataError } from '../../errors.js';
import type { AlpacaAnnotation, AlpacaOutput } from './annotations.js';
import type { OutputPair, OutputVerdict } from './judge-outputs.js';

/**
 * The pairs to be judged, in the order of the baseline's outputs.
 *
 * @param file Names the model's outputs in errors
 * @throws DataError where the model's outputs are not to the same instructions
 */
export function pairOutputs(
  baseline: readonly AlpacaOutput[],
  outputs: readonly AlpacaOutput[],
  file: string,
): OutputPair[] {
  const byInstruction = new Map(outputs.map(({ instruction, output }) => [instruction, output]));
  const missing = baseline.filter(({ instruction }) => !byInstruction.has(instruction));
  const known = new Set(baseline.map(({ instruction }) => instruction));
  const others = outputs.filter(({ instruction }) => !known.has(instruction));
  if (missing.length > 0 || others.length > 0) {
    const example = (missing[0] ?? others[0])?.instruction.slice(0, 80) ?? '';
    throw new DataError(
      `expected outputs to the ${baseline.length} instructions that the baseline has: ${missing.length} are missing, ` +
        `${others.length} are to others (${JSON.stringify(example)})`,
      { file },
    );
  }
  return baseline.map(({ instruction, output }) => ({
    instruction,
    baseline: output,
    model: byInstruction.get(instruction),
  }));
}

/** What the judge said, in alpaca_eval's form: the baseline's output is the first. */
export function annotationsOf(
  baseline: readonly AlpacaOutput[],
  pairs: readonly OutputPair[],
  verdicts: readonly OutputVerdict[],
  { generator, annotator }: { generator: string; annotator: string },
): (AlpacaAnnotation & { problem?: string })[] {
  return pairs.map(({ instruction, baseline: first, model }, index) => {
    const { share, problem } = verdicts[index] as OutputVerdict;
    const { dataset, generator: reference } = baseline[index] as AlpacaOutput;
    return {
      instruction,
      ...(dataset ? { dataset } : {}),
      output_1: first,
      generator_1: reference,
      output_2: model ?? '',
      generator_2: generator,
      annotator,
      preference: share === null ? null : 1 + share,
      ...(problem === undefined ? {} : { problem }),
    };
  });
}
