import type { Command } from 'commander';
import { numberFlag } from './command.js';

/** Flags of what can say beforehand how much it would ask of a model. */
export interface DryRunFlags {
  dryRun?: boolean;
  tokensPerSecond: number;
}

export function addDryRunFlags(command: Command): Command {
  return command.option('--dry-run', 'print what would be asked, and ask nothing').option(
    '--tokens-per-second <NUMBER>',
    'rate to estimate the time with',
    numberFlag('a number above 0', (value) => value > 0),
    1000,
  );
}
