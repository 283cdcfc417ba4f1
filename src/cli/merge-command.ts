import { type Command, Option } from 'commander';
import { newCommand, print, printJson } from './command.js';
import { formatBytes } from './format.js';
import { hubOptions } from './open-model.js';
import { createProgress, silentProgress } from './progress.js';

interface MergeFlags {
  model: string;
  adapter: string;
  output: string;
  dtype: 'bfloat16' | 'float32';
  json?: boolean;
}

export function mergeCommand(): Command {
  return newCommand(
    'merge',
    {
      summary: 'put an adapter into its base model',
      description:
        'Adds a LoRA adapter to the weights of its base model and saves the sum as a Hugging Face folder, which ' +
        'transformers, vLLM and llama.cpp load without knowing of adapters.',
      examples: [
        [
          'persona-dpo merge --model HuggingFaceTB/SmolLM2-135M-Instruct --adapter out/adapter --output merged',
        ],
      ],
    },
    { json: 'print the result as JSON' },
  )
    .requiredOption('--model <ID|DIR|FILE>', 'the base model')
    .requiredOption('--adapter <DIR>', 'PEFT adapter')
    .requiredOption('--output <DIR>', 'folder for the merged model; must not hold one already')
    .addOption(
      new Option('--dtype <TYPE>', 'numbers to save; the sum itself is made in float32')
        .choices(['bfloat16', 'float32'])
        .default('bfloat16'),
    )
    .action(async (flags: MergeFlags) => {
      const progress = flags.json ? silentProgress() : createProgress();
      const { mergeToFolder } = await import('../models/merge.js');
      try {
        await mergeToFolder(flags.model, flags.adapter, flags.output, {
          dtype: flags.dtype,
          device: 'cpu',
          hub: hubOptions(progress),
          onProgress: (done, total) =>
            progress.update('merging', done, total, `${formatBytes(done)} of ${formatBytes(total)}`),
        });
      } finally {
        progress.end();
      }
      if (flags.json)
        printJson({ output: flags.output, model: flags.model, adapter: flags.adapter, dtype: flags.dtype });
      else print(`The merged model is in ${flags.output}.`);
    });
}
