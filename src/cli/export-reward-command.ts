import { type Command, Option } from 'commander';
import { CheckpointError, ConfigError } from '../errors.js';
import { exportRewardOptionsSchema } from '../rewards/export/export-options.js';
import { recipeOverridesSchema } from '../rewards/recipe.js';
import { newCommand, print, printJson } from './command.js';
import { formatBytes } from './format.js';
import { hubOptions } from './open-model.js';
import { createProgress, silentProgress } from './progress.js';
import { addSchemaFlags, readSchemaFlags } from './schema-flags.js';

interface ExportRewardFlags {
  recipe?: string;
  json?: boolean;
}

const SECTIONS = { without: ['recipe'] } as const;

export function exportRewardCommand(): Command {
  const command = newCommand(
    'export-reward',
    {
      summary: 'make a reward model for ONNX Runtime',
      description:
        'Writes a Hugging Face reward model (LlamaForSequenceClassification and its like of the Mistral, Qwen2 and ' +
        'Qwen3 families; Athene-RM-8B) as an ONNX file with its weights beside it, the tokenizer, the template that ' +
        'puts a persona into words, and reward_recipe.json, which says how a conversation becomes its tokens and may ' +
        'be edited. No Python is needed.',
      examples: [
        ['persona-dpo export-reward --model ./my-reward-model --output reward-onnx'],
        [
          'persona-dpo export-reward --model Nexusflow/Athene-RM-8B --output athene --dtype int8',
          'weights in eight bits: a quarter of the memory',
        ],
        [
          'persona-dpo export-reward --model ./my-reward-model --output reward-onnx --recipe-max-tokens 2048 --recipe-end end-of-turn',
        ],
      ],
    },
    { json: 'print the result as JSON' },
  );
  addSchemaFlags(command, exportRewardOptionsSchema, SECTIONS);
  // The two that nothing works without show as such in the usage.
  for (const flag of ['--model', '--output'])
    command.options.find(({ long }) => long === flag)?.makeOptionMandatory();
  command.optionsGroup('Recipe:');
  command.addOption(new Option('--recipe <FILE>', 'JSON with keys of the recipe; flags win over it'));
  addSchemaFlags(command, recipeOverridesSchema, { prefix: 'recipe' });
  return command.action(async (flags: ExportRewardFlags) => {
    const progress = flags.json ? silentProgress() : createProgress();
    const { exportRewardModel } = await import('../rewards/export/export-reward-model.js');
    const options = readSchemaFlags(command, exportRewardOptionsSchema, SECTIONS);
    const recipe = {
      ...(flags.recipe === undefined ? {} : await readRecipeFile(flags.recipe)),
      ...readSchemaFlags(command, recipeOverridesSchema, { prefix: 'recipe' }),
    };
    const exported = await exportRewardModel({ ...options, recipe } as never, {
      hub: hubOptions(progress),
      onProgress: (done, total) =>
        progress.update('writing', done, total, `${formatBytes(done)} of ${formatBytes(total)}`),
    }).finally(() => progress.end());
    if (flags.json) printJson(exported);
    else {
      const { folder, bytes, dtype, parameters, recipe: made } = exported;
      print(
        `The reward model is in ${folder}: ${made.head.kind}, ${(parameters / 1e6).toFixed(1)} million parameters in ${dtype}, ${formatBytes(bytes)}.`,
      );
    }
  });
}

async function readRecipeFile(path: string): Promise<Record<string, unknown>> {
  const { readJsonFile } = await import('../models/json-file.js');
  try {
    const value = readJsonFile(path);
    const parsed = recipeOverridesSchema.safeParse(value);
    if (parsed.success) return parsed.data;
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new ConfigError(`--recipe ${path}: ${problems.join('; ')}`);
  } catch (cause) {
    if (cause instanceof CheckpointError) throw new ConfigError(`--recipe: ${cause.message}`, { cause });
    throw cause;
  }
}
