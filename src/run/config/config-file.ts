/** The configuration of a run as a YAML file: read with the line of every mistake, written with every option. */

import { readFileSync } from 'node:fs';
import { stringify } from 'yaml';
import type { z } from 'zod';
import { ConfigError } from '../../errors.js';
import { chatModelOptionsSchema } from '../../llm/chat-model-options.js';
import { rewardModelOptionsSchema } from '../../rewards/reward-options.js';
import { onlineOptionSet } from '../../train/online/options.js';
import { toCodeName, toFileName } from '../../train/option-names.js';
import { optionsFromRecord } from '../../train/options.js';
import { onlineRunSchema } from './online-section.js';
import { isRecord, type OptionProblem, toCodeNames, toFileNames } from './option-tree.js';
import { type ResolvedRunConfig, resolveWith } from './run-config.js';
import { isAsking, SECTION_NAMES, sectionSchemas } from './sections.js';
import { parseYaml, type YamlSource } from './yaml-source.js';

/** A configuration, and what its user should know of it. */
export interface ReadConfig {
  config: ResolvedRunConfig;
  /** Options of TRL that were passed over, and why. */
  notices: string[];
}

/**
 * Reads a run's configuration. Names are in `snake_case`; `train` has TRL's, as `persona-dpo train` does.
 *
 * @throws ConfigError with file and line, for what cannot be read or used
 */
export function readRunConfig(file: string): ReadConfig {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  } catch (cause) {
    throw new ConfigError(`${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
  return parseRunConfig(text, file);
}

/** {@link readRunConfig} of a text; `file` names it in messages. */
export function parseRunConfig(text: string, file: string): ReadConfig {
  const source = parseYaml(text, file);
  const problems: OptionProblem[] = [];
  const input: Record<string, unknown> = {};
  let notices: string[] = [];
  for (const [name, value] of Object.entries(source.value)) {
    if ((name === 'train' || name === 'online') && isRecord(value)) {
      const read = trainOptions(name, value, source, problems);
      input[name] = read.options;
      notices = [...notices, ...read.notices];
    } else input[toCodeName(name)] = sectionOptions(toCodeName(name), value, problems);
  }
  const config = resolveWith(input, (path) => source.place(path), problems);
  return { config, notices };
}

function sectionOptions(name: string, value: unknown, problems: OptionProblem[]): unknown {
  if (name === 'llm') return toCodeNames(chatModelOptionsSchema, value, problems, ['llm']);
  if (name === 'reward') return toCodeNames(rewardModelOptionsSchema, value, problems, ['reward']);
  const section = SECTION_NAMES.find((each) => each === name);
  if (section === undefined) return value;
  const schema = sectionSchemas[section];
  return toCodeNames(
    isAsking(section) ? schema.extend({ llm: chatModelOptionsSchema }) : schema,
    value,
    problems,
    [toFileName(name)],
  );
}

function trainOptions(
  section: 'train' | 'online',
  value: Record<string, unknown>,
  source: YamlSource,
  problems: OptionProblem[],
) {
  const options: Record<string, unknown> = {};
  const notices: string[] = [];
  // One by one, so that each problem has its line.
  for (const [name, each] of Object.entries(value)) {
    if (section === 'online' && name in onlineRunSchema.shape) {
      options[name] = each;
      continue;
    }
    try {
      const read =
        section === 'train'
          ? optionsFromRecord({ [name]: each }, section)
          : onlineOptionSet.fromRecord({ [name]: each }, section);
      Object.assign(options, read.options);
      notices.push(...read.notices.map((notice) => `${source.place([section, name])}: ${notice}`));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const { problems: found = [error.message] } = error.details as { problems?: string[] };
      for (const message of found) problems.push({ path: [section, name], message });
    }
  }
  return { options, notices };
}

/** The text of a file that gives the same configuration again, with all options. It never holds a key. */
export function runConfigToYaml(config: ResolvedRunConfig): string {
  const { outputDir, seed, personaTemplate, sections, models, reward, train, online } = config;
  const parts = [
    stringify({ output_dir: outputDir, seed, persona_template: personaTemplate }),
    reward === null ? '' : stringify({ reward: toFileNames(rewardModelOptionsSchema, reward) }),
    ...SECTION_NAMES.map((name) => {
      const options = sections[name];
      if (options === null) return name === 'conversations' ? '' : stringify({ [name]: false });
      const schema: z.ZodObject = sectionSchemas[name];
      const model = isAsking(name) ? models[name] : undefined;
      const written = toFileNames(schema, options) as Record<string, unknown>;
      const llm = model === undefined ? {} : { llm: toFileNames(chatModelOptionsSchema, model) };
      return stringify({ [name]: { ...written, ...llm } });
    }),
    train === null ? '' : stringify({ train: trainByFileNames(train) }),
    online === null ? '' : stringify({ online: trainByFileNames(online) }),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function trainByFileNames(train: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(train).map(([key, value]) => [toFileName(key), value]));
}
