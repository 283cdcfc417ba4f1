/** The configuration of a run in code: checked as a whole, with every default filled in. */

import { z } from 'zod';
import { resolveIngestOptions } from '../../data/conversations/options.js';
import { ConfigError } from '../../errors.js';
import { type ChatModelOptions, chatModelOptionsSchema } from '../../llm/chat-model-options.js';
import { type RewardModelOptions, rewardModelOptionsSchema } from '../../rewards/reward-options.js';
import { expectation } from '../../train/expectation.js';
import { toFileName } from '../../train/option-names.js';
import { type ResolvedTrainOptions, resolveFileOptions, type TrainOptions } from '../../train/options.js';
import {
  ONLINE_RUN_OWNED,
  onlineRunSchema,
  type RunOnlineOptions,
  resolveRunOnline,
} from './online-section.js';
import { isRecord, type OptionPath, type OptionProblem, toFilePath, unknownOption } from './option-tree.js';
import {
  ASKING_STAGES,
  type AskingStage,
  asksModel,
  SECTION_NAMES,
  type SectionInput,
  type SectionName,
  type Sections,
  sectionSchemas,
} from './sections.js';
import { problemsError } from './yaml-source.js';

/** A section, with the model of its own that a stage may have: what differs from the run's. */
type Section<Name extends SectionName> = Name extends AskingStage
  ? SectionInput<Name> & { llm?: Partial<ChatModelOptions> }
  : SectionInput<Name>;

/** Options of training that a run leaves to the user. */
export type RunTrainOptions = Omit<TrainOptions, 'pairs' | 'outputDir' | 'resumeFromCheckpoint'>;

/**
 * What a run does, with what. A stage whose section is `true` is done with its defaults; `reconstruct`, `users`,
 * `personas`, `math` and `candidates` can be `false`, and so can `rewrite` where there are candidates or online training.
 * By default `users`, `personas` and `rewrite` are done, `reconstruct`, `math`, `candidates`, `train` and `online` are
 * not; `prompts` are where candidates or online training are, `rank` where candidates are, and `pairs` where there is
 * something to make them of.
 */
export interface RunConfig {
  /** The run's folder. */
  outputDir: string;
  /** Of every stage that does not name its own. Default 0. */
  seed?: number;
  /** Jinja file that puts a persona into the system prompt, in rewriting and in training. Default: ours. */
  personaTemplate?: string | null;
  /** The language model that the stages ask. */
  llm?: ChatModelOptions;
  /** The reward model that ranks candidates and that the quality filter of rewrites asks. */
  reward?: RewardModelOptions;
  /** The logs, their filters and the split. Absent: only math conversations. */
  conversations?: Section<'conversations'>;
  reconstruct?: boolean | Section<'reconstruct'>;
  classify?: boolean | Section<'classify'>;
  users?: boolean | Section<'users'>;
  personas?: boolean | Section<'personas'>;
  math?: boolean | Section<'math'>;
  rewrite?: boolean | Section<'rewrite'>;
  prompts?: boolean | Section<'prompts'>;
  candidates?: boolean | Section<'candidates'>;
  rank?: boolean | Section<'rank'>;
  pairs?: boolean | Section<'pairs'>;
  train?: RunTrainOptions | false;
  online?: RunOnlineOptions | false;
}

/** The configuration with all options; `null` for a stage that is not done. */
export interface ResolvedRunConfig {
  outputDir: string;
  seed: number;
  personaTemplate: string | null;
  sections: Sections;
  /** The model of each stage that asks one. */
  models: Partial<Record<AskingStage, ChatModelOptions>>;
  reward: RewardModelOptions | null;
  /** Without pairs and folders, which come from the run. */
  train: RunTrainOptions | null;
  /** Without prompts, folders and the reward model, which come from the run. */
  online: RunOnlineOptions | null;
}

/** What belongs to the run as a whole. */
const generalSchema = z.object({
  outputDir: z.string().min(1).describe("The run's folder."),
  seed: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
  personaTemplate: z.string().min(1).nullable().default(null),
});

/** Names that a configuration may have at its top. */
export const TOP_NAMES = [
  ...Object.keys(generalSchema.shape),
  'llm',
  'reward',
  ...SECTION_NAMES,
  'train',
  'online',
] as const;

/** Options of training that come from the run. */
const RUN_OWNED = ['pairs', 'outputDir', 'resumeFromCheckpoint'] as const;

/**
 * Checks a configuration and fills in the defaults.
 *
 * @throws ConfigError that names every option that is wrong, what was expected and what came
 */
export function resolveRunConfig(config: RunConfig): ResolvedRunConfig {
  return resolveWith(config as unknown as Record<string, unknown>, (path) => path.join('.'));
}

/** {@link resolveRunConfig}, with the place of each option in messages: file and line. */
export function resolveWith(
  input: Readonly<Record<string, unknown>>,
  place: (path: OptionPath) => string,
  found: readonly OptionProblem[] = [],
): ResolvedRunConfig {
  const problems = [...found];
  const resolver = new Resolver(input, problems);
  const resolved = resolver.resolve();
  if (problems.length > 0) throw problemsError(problems, place);
  return resolved;
}

/**
 * The configuration of one stage by itself, all others being left out.
 *
 * @throws ConfigError that names every option that is wrong
 */
export function resolveStageConfig(
  stage: SectionName,
  config: Pick<RunConfig, 'outputDir' | 'llm' | 'reward' | 'personaTemplate'> & {
    options: Record<string, unknown>;
  },
): ResolvedRunConfig {
  const { options, ...general } = config;
  const problems: OptionProblem[] = [];
  const resolved = new Resolver({ ...general, [stage]: options }, problems, stage).resolve();
  if (problems.length > 0) throw problemsError(problems, () => '');
  return resolved;
}

class Resolver {
  readonly #input: Readonly<Record<string, unknown>>;
  readonly #problems: OptionProblem[];
  /** The one stage that is done; undefined for those that the configuration says. */
  readonly #only: SectionName | undefined;

  constructor(
    input: Readonly<Record<string, unknown>>,
    problems: OptionProblem[],
    only: SectionName | undefined = undefined,
  ) {
    this.#input = input;
    this.#problems = problems;
    this.#only = only;
  }

  resolve(): ResolvedRunConfig {
    this.#checkNames();
    const { outputDir, seed, personaTemplate } = this.#input;
    const general = this.#parse(generalSchema, { outputDir, seed, personaTemplate }, []);
    const sections = Object.fromEntries(
      SECTION_NAMES.map((name) => [name, this.#section(name, general?.seed ?? 0)]),
    ) as unknown as Sections;
    const models = this.#models(sections);
    const reward = this.#reward();
    const train = this.#train(general);
    const online = this.#online(general);
    if (this.#only === undefined && !this.#isOn('conversations') && !this.#isOn('math')) {
      this.#problem([], 'there is nothing to do: expected conversations, or math, or both');
    }
    const known = general ?? { outputDir: '', seed: 0, personaTemplate: null };
    return { ...known, sections, models, reward, train, online };
  }

  #problem(path: OptionPath, message: string): void {
    this.#problems.push({ path: toFilePath(path), message });
  }

  #checkNames(): void {
    for (const name of Object.keys(this.#input)) {
      if ((TOP_NAMES as readonly string[]).includes(name)) continue;
      this.#problem([name], unknownOption(toFileName(name), TOP_NAMES.map(toFileName)));
    }
  }

  /** The section's options; null where the stage is not done. */
  #section(name: SectionName, seed: number): unknown {
    const value = this.#input[name];
    this.#checkSwitch(name);
    if (!this.#isOn(name)) return null;
    if (value !== undefined && value !== true && !isRecord(value)) {
      this.#problem([name], `${toFileName(name)}: expected options, got ${JSON.stringify(value)}`);
      return null;
    }
    const { llm: _, ...given } = isRecord(value) ? value : {};
    const schema: z.ZodObject = sectionSchemas[name];
    const options = Object.hasOwn(schema.shape, 'seed') ? { seed, ...given } : given;
    const parsed = this.#parse(schema.strict(), options, [name]);
    if (parsed !== undefined) this.#checkTogether(name, parsed);
    return parsed ?? null;
  }

  #isOn(name: SectionName): boolean {
    const value = this.#input[name];
    if (this.#only !== undefined) return name === this.#only;
    if (name === 'conversations') return value !== undefined && value !== null;
    if (NEEDS_LOGS.has(name) && !this.#isOn('conversations')) return false;
    return value === undefined ? this.#isOnByDefault(name) : !isOff(value);
  }

  #isOnByDefault(name: SectionName): boolean {
    switch (name) {
      case 'reconstruct':
      case 'math':
      case 'candidates':
        return false;
      case 'prompts':
        return this.#isOn('candidates') || this.#isGiven('online');
      case 'rank':
        return this.#isOn('candidates');
      case 'pairs':
        return this.#isOn('rewrite') || this.#isOn('candidates');
      default:
        return true;
    }
  }

  /** Whether a section of training is there. */
  #isGiven(name: 'train' | 'online'): boolean {
    return this.#only === undefined && this.#input[name] !== undefined && !isOff(this.#input[name]);
  }

  /** What a stage that is on, or switched off, needs of the others. */
  #checkSwitch(name: SectionName): void {
    const value = this.#input[name];
    if (value === undefined || this.#only !== undefined) return;
    if (isOff(value)) {
      if (this.#isNeeded(name)) {
        this.#problem([name], `${name} is needed by what comes after it; use until to end a run before it`);
      }
    } else if (name === 'rank' && !this.#isOn('candidates')) {
      this.#problem([name], 'rank needs candidates: expected a section of that name');
    } else if ((name === 'candidates' || name === 'prompts') && !this.#isOn('conversations')) {
      this.#problem([name], `${name} needs conversations: expected a section of that name`);
    }
  }

  #isNeeded(name: SectionName): boolean {
    switch (name) {
      case 'classify':
        return this.#isOn('conversations');
      case 'pairs':
        return this.#isGiven('train') || !this.#isGiven('online');
      case 'rewrite':
        return !this.#isOn('candidates') && !this.#isGiven('online');
      case 'prompts':
        return this.#isOn('candidates') || this.#isGiven('online');
      case 'rank':
        return this.#isOn('candidates');
      default:
        return false;
    }
  }

  /** What one option needs of another. */
  #checkTogether(name: SectionName, options: Record<string, unknown>): void {
    if (name === 'personas' && options.method === 'given' && options.file === null) {
      this.#problem([name, 'method'], 'file is required: method given takes the personas from it');
    }
    if (name === 'conversations') this.#checkIngest(options);
  }

  #checkIngest(options: Record<string, unknown>): void {
    try {
      resolveIngestOptions({ ...options, output: '-' } as Parameters<typeof resolveIngestOptions>[0]);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#problem(['conversations'], byFileNames(error.message));
    }
  }

  #models(sections: Sections): ResolvedRunConfig['models'] {
    const models: ResolvedRunConfig['models'] = {};
    const general = this.#input.llm;
    if (general !== undefined) this.#parse(chatModelOptionsSchema, general, ['llm']);
    const without: AskingStage[] = [];
    for (const stage of ASKING_STAGES) {
      if (!asksModel(stage, sections)) continue;
      const section = this.#input[stage];
      const own = isRecord(section) ? section.llm : undefined;
      const merged = mergeModels(general, own);
      if (merged === undefined) {
        without.push(stage);
      } else if (own === undefined) {
        models[stage] = chatModelOptionsSchema.safeParse(merged).data as ChatModelOptions;
      } else {
        models[stage] = this.#parse(chatModelOptionsSchema, merged, [stage, 'llm']) as ChatModelOptions;
      }
    }
    if (without.length > 0) {
      const message = `llm is required: expected the language model that the stages ask (${without.join(', ')})`;
      this.#problem(['llm'], message);
    }
    return models;
  }

  #reward(): RewardModelOptions | null {
    const value = this.#input.reward;
    if (value !== undefined && value !== null) {
      return this.#parse(rewardModelOptionsSchema.strict(), value, ['reward']) ?? null;
    }
    if (this.#isOn('rank') || this.#isGiven('online')) {
      const what = this.#isOn('rank') ? 'ranks candidates' : 'online training asks';
      this.#problem(['reward'], `reward is required: expected the reward model that ${what}`);
    }
    return null;
  }

  #train(general: z.output<typeof generalSchema> | undefined): RunTrainOptions | null {
    const value = this.#input.train;
    if (value === undefined || value === false || value === null) return null;
    if (!isRecord(value)) {
      this.#problem(['train'], `train: expected options of training, got ${JSON.stringify(value)}`);
      return null;
    }
    for (const name of RUN_OWNED) {
      if (value[name] !== undefined) this.#problem(['train', name], `${toFileName(name)} comes from the run`);
    }
    if (!this.#isOn('pairs')) {
      this.#problem(['train'], 'train needs pairs: expected rewrite, candidates, or both');
    }
    const { seed = 0, personaTemplate = null } = general ?? {};
    const options = { seed, personaTemplate, ...value } as unknown as RunTrainOptions;
    this.#collect('train', () => resolveRunTraining(options, { pairs: 'pairs.jsonl', outputDir: 'train' }));
    return options;
  }

  #online(general: z.output<typeof generalSchema> | undefined): RunOnlineOptions | null {
    const value = this.#input.online;
    if (value === undefined || value === false || value === null) return null;
    if (!isRecord(value)) {
      this.#problem(['online'], `online: expected options of training, got ${JSON.stringify(value)}`);
      return null;
    }
    for (const name of ONLINE_RUN_OWNED) {
      if (value[name] === undefined) continue;
      const from = name.startsWith('reward') ? 'the section reward' : 'the run';
      this.#problem(['online', name], `${toFileName(name)} comes from ${from}`);
    }
    if (!this.#isOn('conversations'))
      this.#problem(['online'], 'online needs conversations: expected a section of that name');
    const { pool, ...rest } = value;
    const own = this.#parse(onlineRunSchema, { pool }, ['online']);
    if (own?.pool === 'curated' && !this.#isOn('candidates')) {
      this.#problem(['online', 'pool'], 'pool: curated needs candidates: expected a section of that name');
    }
    const { seed = 0, personaTemplate = null } = general ?? {};
    const trained = this.#input.train;
    const model = isRecord(trained) && trained.model !== undefined ? { model: trained.model } : {};
    const options = { ...own, seed, personaTemplate, ...model, ...rest } as unknown as RunOnlineOptions;
    this.#collect('online', () =>
      resolveRunOnline(options, { prompts: 'prompts.jsonl', outputDir: 'online' }),
    );
    return options;
  }

  /** The problems that a set of training options has, each at its option. */
  #collect(section: 'train' | 'online', resolve: () => unknown): void {
    try {
      resolve();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const { problems = [error.message] } = error.details as { problems?: string[] };
      for (const problem of problems) {
        const name = /^[a-z_]+/.exec(problem)?.[0] ?? '';
        this.#problems.push({ path: [section, name], message: problem });
      }
    }
  }

  #parse<Schema extends z.ZodType>(
    schema: Schema,
    value: unknown,
    path: OptionPath,
  ): z.output<Schema> | undefined {
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues) this.#issue(issue, value, path);
    return undefined;
  }

  #issue(issue: z.core.$ZodIssue, value: unknown, path: OptionPath): void {
    const at = [...path, ...(issue.path as (string | number)[])];
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) this.#problem([...at, key], `unknown option ${toFileName(key)}`);
      return;
    }
    const name = toFilePath(at).slice(path.length).join('.') || toFilePath(at).join('.');
    const given = issue.path.reduce<unknown>(
      (inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key],
      value,
    );
    this.#problem(at, `${name}${inWords(issue, given)}`);
  }
}

/** Stages that work on conversations: without any they are not done. */
const NEEDS_LOGS: ReadonlySet<SectionName> = new Set([
  'reconstruct',
  'classify',
  'users',
  'personas',
  'prompts',
  'candidates',
  'rank',
]);

function isOff(value: unknown): boolean {
  return value === false || value === null;
}

/** What is wrong with an option, behind its name. */
function inWords(issue: z.core.$ZodIssue, given: unknown): string {
  if (given === undefined) return ` is required: expected ${expectation(issue)}`;
  // A schema's own words say what they want; they may keep silent about the value because it may be a secret.
  if (issue.code === 'custom') return `: ${byFileNames(issue.message)}`;
  return `: expected ${expectation(issue)}, got ${JSON.stringify(given)}`;
}

/** A message with the names of options as files have them. */
function byFileNames(message: string): string {
  return message.replace(/\b[a-z]+(?:[A-Z][a-z]*)+\b/g, toFileName);
}

/** A stage's model: the run's, with what the stage says of it; another kind of model takes nothing from the run's. */
function mergeModels(general: unknown, own: unknown): unknown {
  if (!isRecord(own) || !isRecord(general)) return own ?? general;
  const kindOf = (options: Record<string, unknown>) => options.kind;
  const sameKind = own.kind === undefined || kindOf(own) === kindOf(general);
  return sameKind ? { ...general, ...own } : own;
}

/** The options of training, with the run's pairs and folder. */
export function resolveRunTraining(
  options: RunTrainOptions,
  { pairs, outputDir, resume = false }: { pairs: string; outputDir: string; resume?: boolean },
): ResolvedTrainOptions {
  return resolveFileOptions({ ...options, pairs, outputDir, resumeFromCheckpoint: resume });
}
