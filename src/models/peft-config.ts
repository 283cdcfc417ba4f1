/** adapter_config.json of PEFT's LoRA, read and written; and PEFT's rules for which modules it speaks of. */
import { CheckpointError } from '../errors.js';

/** Modules by name (the last parts of their path), by a regular expression on the whole path, or all linear layers but the head. */
export type TargetModules =
  | { kind: 'names'; names: string[] }
  | { kind: 'pattern'; pattern: string }
  | { kind: 'all-linear' };

export interface PeftConfig {
  /** r */
  rank: number;
  /** lora_alpha: the update is `alpha / rank` (rsLoRA: `alpha / sqrt(rank)`) times B A x. */
  alpha: number;
  /** lora_dropout: probability with which an element of the adapter's input is zeroed in training. */
  dropout: number;
  targetModules: TargetModules;
  useRslora: boolean;
  /** Ranks of modules that differ, by PEFT's patterns. */
  rankPattern: Record<string, number>;
  alphaPattern: Record<string, number>;
  /** base_model_name_or_path: a Hub id or a folder. */
  baseModel: string | null;
  /** The base model's revision on the Hub. */
  revision: string | null;
}

/** Keys that change nothing about what the saved matrices mean. */
const HARMLESS_KEYS = new Set([
  'peft_type',
  'peft_version',
  'task_type',
  'inference_mode',
  'auto_mapping',
  'base_model_name_or_path',
  'revision',
  'r',
  'lora_alpha',
  'lora_dropout',
  'target_modules',
  'use_rslora',
  'rank_pattern',
  'alpha_pattern',
  'bias',
  'init_lora_weights',
  'megatron_core',
  'qalora_group_size',
  'runtime_config',
  'ensure_weight_tying',
]);

/** Ways of initialisation that leave the base model's weights alone. PiSSA, OLoRA, CorDA and LoftQ change them. */
const HARMLESS_INITIALISATIONS: readonly unknown[] = [
  undefined,
  null,
  true,
  false,
  'gaussian',
  'eva',
  'orthogonal',
];

const MAX_RANK = 65_536;

/**
 * Reads PEFT's adapter_config.json. Throws CheckpointError for adapters that are not plain LoRA: every key that is
 * set and that is not known to be harmless is refused by name (DoRA, biases, modules_to_save,
 * layers_to_transform, ...), because to pass over it would give a different model.
 */
export function parseAdapterConfig(json: Record<string, unknown>, file = 'adapter_config.json'): PeftConfig {
  const fail = (problem: string): never => {
    throw new CheckpointError(`${file}: ${problem}.`, { details: { file } });
  };
  if (json.peft_type !== 'LORA')
    fail(`peft_type ${JSON.stringify(json.peft_type)} is not supported; supported is "LORA"`);
  if (json.task_type !== undefined && json.task_type !== null && json.task_type !== 'CAUSAL_LM') {
    fail(`task_type ${JSON.stringify(json.task_type)} is not supported; supported is "CAUSAL_LM"`);
  }
  if ((json.bias ?? 'none') !== 'none')
    fail(`bias ${JSON.stringify(json.bias)} is not supported; supported is "none"`);
  if (!HARMLESS_INITIALISATIONS.includes(json.init_lora_weights)) {
    fail(
      `init_lora_weights ${JSON.stringify(json.init_lora_weights)} is not supported: it changes the base model's weights, too`,
    );
  }
  for (const [key, value] of Object.entries(json)) {
    if (!HARMLESS_KEYS.has(key) && isSet(value)) {
      fail(
        `${key} (${shorten(JSON.stringify(value))}) is not supported; supported is plain LoRA, with rsLoRA and rank and alpha patterns`,
      );
    }
  }
  const number = (key: string, min: number, max: number, fallback: number, whole: boolean): number => {
    const value = json[key] ?? fallback;
    const fits =
      typeof value === 'number' && value >= min && value <= max && (!whole || Number.isInteger(value));
    return fits
      ? (value as number)
      : fail(
          `${key} is ${JSON.stringify(value)}; a ${whole ? 'whole ' : ''}number from ${min} to ${max} was expected`,
        );
  };
  const text = (key: string): string | null => {
    const value = json[key] ?? null;
    return value === null || typeof value === 'string'
      ? value
      : fail(`${key} is ${JSON.stringify(value)}; text was expected`);
  };
  const pattern = (key: string, whole: boolean): Record<string, number> => {
    const value = json[key] ?? {};
    const valid = (item: unknown) =>
      typeof item === 'number' &&
      item > 0 &&
      Number.isFinite(item) &&
      (!whole || (Number.isInteger(item) && item <= MAX_RANK));
    if (typeof value !== 'object' || Array.isArray(value) || !Object.values(value as object).every(valid)) {
      return fail(`${key} is ${shorten(JSON.stringify(value))}; an object of positive numbers was expected`);
    }
    for (const expression of Object.keys(value as object)) compile(patternSource(expression), key, fail);
    return value as Record<string, number>;
  };
  const useRslora = json.use_rslora ?? false;
  if (typeof useRslora !== 'boolean')
    fail(`use_rslora is ${JSON.stringify(useRslora)}; true or false was expected`);
  return {
    rank: number('r', 1, MAX_RANK, 8, true),
    alpha: number('lora_alpha', Number.MIN_VALUE, Number.MAX_VALUE, 8, false),
    dropout: number('lora_dropout', 0, 1, 0, false),
    targetModules: parseTargets(json.target_modules, fail),
    useRslora: useRslora as boolean,
    rankPattern: pattern('rank_pattern', true),
    alphaPattern: pattern('alpha_pattern', false),
    baseModel: text('base_model_name_or_path'),
    revision: text('revision'),
  };
}

function parseTargets(value: unknown, fail: (problem: string) => never): TargetModules {
  if (typeof value === 'string') {
    // PEFT compares without regard to case
    if (value.toLowerCase() === 'all-linear') return { kind: 'all-linear' };
    compile(fullMatchSource(value), 'target_modules', fail);
    return { kind: 'pattern', pattern: value };
  }
  if (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((name) => typeof name === 'string' && name !== '')
  ) {
    return { kind: 'names', names: value as string[] };
  }
  return fail(
    `target_modules is ${shorten(JSON.stringify(value))}; a list of module names, a regular expression or "all-linear" was expected`,
  );
}

function isSet(value: unknown): boolean {
  if (value === null || value === undefined || value === false) return false;
  return typeof value !== 'object' || Object.keys(value).length > 0;
}

function shorten(text: string | undefined): string {
  return text === undefined ? 'nothing' : text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function fullMatchSource(pattern: string): string {
  return `^(?:${pattern})$`;
}

/** PEFT: `re.match(rf"(.*\.)?({pattern})$", name)` */
function patternSource(pattern: string): string {
  return `^(?:.*\\.)?(?:${pattern})$`;
}

function compile(source: string, key: string, fail: (problem: string) => never): RegExp {
  try {
    return new RegExp(source);
  } catch {
    return fail(`${key} holds ${shorten(JSON.stringify(source))}, which is no regular expression here`);
  }
}

function noPattern(problem: string): never {
  throw new CheckpointError(`${problem}.`);
}

/**
 * Whether a linear module of the base model (`model.layers.0.self_attn.q_proj`) is adapted, by PEFT's rule: a name
 * in the list is the module's path or its end after a dot; a string is a regular expression for the whole
 * path; "all-linear" is every linear module but the output layer.
 */
export function isTargeted({ targetModules }: Pick<PeftConfig, 'targetModules'>, module: string): boolean {
  switch (targetModules.kind) {
    case 'all-linear':
      return module !== 'lm_head';
    case 'names':
      return targetModules.names.some((name) => module === name || module.endsWith(`.${name}`));
    case 'pattern':
      return compile(fullMatchSource(targetModules.pattern), 'target_modules', noPattern).test(module);
  }
}

/** The rank of a module: the first rank pattern that fits, else the common rank. */
export function rankOf({ rank, rankPattern }: PeftConfig, module: string): number {
  return byPattern(rankPattern, module) ?? rank;
}

/** What B A x is multiplied by: `alpha / rank`, or `alpha / sqrt(rank)` with rsLoRA, both of the module. */
export function scalingOf(config: PeftConfig, module: string): number {
  const alpha = byPattern(config.alphaPattern, module) ?? config.alpha;
  const rank = rankOf(config, module);
  return alpha / (config.useRslora ? Math.sqrt(rank) : rank);
}

function byPattern(patterns: Record<string, number>, module: string): number | undefined {
  const found = Object.keys(patterns).find((pattern) =>
    compile(patternSource(pattern), 'pattern', noPattern).test(module),
  );
  return found === undefined ? undefined : patterns[found];
}

/** adapter_config.json as PEFT writes it, with the keys that PEFT and vLLM read. */
export function adapterConfigToJson(config: PeftConfig): Record<string, unknown> {
  const { targetModules } = config;
  return {
    alpha_pattern: config.alphaPattern,
    auto_mapping: null,
    base_model_name_or_path: config.baseModel,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layer_replication: null,
    layers_pattern: null,
    layers_to_transform: null,
    lora_alpha: config.alpha,
    lora_dropout: config.dropout,
    modules_to_save: null,
    peft_type: 'LORA',
    r: config.rank,
    rank_pattern: config.rankPattern,
    revision: config.revision,
    target_modules: targetsToJson(targetModules),
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: config.useRslora,
  };
}

function targetsToJson(targets: TargetModules): unknown {
  switch (targets.kind) {
    case 'all-linear':
      return 'all-linear';
    case 'pattern':
      return targets.pattern;
    case 'names':
      return targets.names;
  }
}
