/** A YAML file that knows the line of each of its options, for messages that name it. */

import { isMap, isScalar, LineCounter, type ParsedNode, parseDocument } from 'yaml';
import { ConfigError } from '../../errors.js';
import { isRecord, type OptionPath, type OptionProblem } from './option-tree.js';

export interface YamlSource {
  readonly value: Record<string, unknown>;
  /** `run.yaml:12`, of the option at `path`, or of the nearest one around it. */
  place(path: OptionPath): string;
}

/**
 * Reads the text of a YAML file that holds sections of options.
 *
 * @throws ConfigError with file and line, for what is not YAML, or something other than options
 */
export function parseYaml(text: string, file: string): YamlSource {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) {
    throw new ConfigError(
      `${file}:${lineCounter.linePos(error.pos[0]).line}: not valid YAML: ${error.message}`,
      {
        cause: error,
      },
    );
  }
  const value: unknown = document.toJS() ?? {};
  if (!isRecord(value)) {
    throw new ConfigError(
      `${file}: expected lines of "option: value", got ${Array.isArray(value) ? 'a list' : typeof value}`,
    );
  }
  const place = (path: OptionPath): string => {
    const offset = offsetOf(document.contents, path);
    return offset === undefined ? file : `${file}:${lineCounter.linePos(offset).line}`;
  };
  return { value, place };
}

/** Where the option at `path` is written; where it is not, the last option on the way to it. */
function offsetOf(node: ParsedNode | null, path: OptionPath): number | undefined {
  const [first, ...rest] = path;
  if (first === undefined || !isMap(node)) return undefined;
  const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(first));
  if (pair === undefined) return undefined;
  return offsetOf(pair.value as ParsedNode | null, rest) ?? (pair.key as ParsedNode).range[0];
}

/** One error that lists all problems, each with its place. */
export function problemsError(
  problems: readonly OptionProblem[],
  place: (path: OptionPath) => string,
): ConfigError {
  const lines = problems
    .map(({ path, message }) => ({ place: place(path), message }))
    .sort((a, b) => lineOf(a.place) - lineOf(b.place))
    .map((problem) => (problem.place === '' ? problem.message : `${problem.place}: ${problem.message}`));
  const text =
    lines.length === 1
      ? (lines[0] as string)
      : `${lines.length} problems\n${lines.map((line) => `  - ${line}`).join('\n')}`;
  return new ConfigError(text, { details: { problems: lines } });
}

function lineOf(place: string): number {
  return Number(/:(\d+)$/.exec(place)?.[1] ?? Number.MAX_SAFE_INTEGER);
}
