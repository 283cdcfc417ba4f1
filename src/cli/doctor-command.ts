import type { Command } from 'commander';
import { newCommand, print, printJson } from './command.js';
import type { Diagnosis } from './diagnosis.js';
import { EXIT_FAILED } from './exit-codes.js';
import { formatBytes } from './format.js';

export function doctorCommand(): Command {
  return newCommand(
    'doctor',
    {
      summary: 'show what works on this machine, and what is missing',
      description:
        'Shows versions, devices, memory, measured matrix-product rates, ONNX Runtime providers and the model ' +
        'cache; for what is missing, the command that mends it. Exit code 1 when training cannot run.',
      examples: [['npx persona-dpo doctor'], ['npx persona-dpo doctor --json | jq .rates']],
    },
    { json: 'print the findings as JSON' },
  ).action(async (flags: { json?: boolean }) => {
    const { diagnose } = await import('./diagnosis.js');
    const diagnosis = await diagnose();
    if (flags.json) printJson(diagnosis);
    else print(describeDiagnosis(diagnosis));
    if (!diagnosis.canTrain) process.exitCode = EXIT_FAILED;
  });
}

export function describeDiagnosis(diagnosis: Diagnosis): string {
  const { versions, machine, tensorflow, devices, rates, onnx, models, problems } = diagnosis;
  const gflops = (rate: number | null) =>
    rate === null ? 'not measured' : `${Math.round(rate / 1e9)} GFLOP/s`;
  const lines = [
    `persona-dpo  ${versions.package} on Node ${versions.node}, ${versions.platform}`,
    `machine      ${machine.cpu}, ${machine.cores} cores, ${formatBytes(machine.memoryBytes)} memory ` +
      `(${formatBytes(machine.availableBytes)} available)`,
    `TensorFlow   ${tensorflow === null ? 'missing' : `${tensorflow.version} in ${tensorflow.directory}`}`,
    ...devices.map(describeDevice),
    `float32      ${gflops(rates.float32)}`,
    `bfloat16     ${gflops(rates.bfloat16)}`,
    `ONNX Runtime ${onnx === null ? 'missing' : `${onnx.version}: ${onnx.providers.map((p) => (p.bundled ? p.name : `${p.name} (not installed)`)).join(', ')}`}`,
    `Hub cache    ${models.hubCache} (${models.hubModels.length} models)`,
    `small model  ${models.smollm2 ?? 'not fetched'}`,
  ];
  for (const problem of problems) {
    lines.push('', `${problem.stopsTraining ? 'PROBLEM' : 'note'}: ${problem.message}`);
    if (problem.remedy !== null) lines.push(`  ${problem.remedy}`);
  }
  lines.push('', diagnosis.canTrain ? 'Training can run.' : 'Training cannot run.');
  return lines.join('\n');
}

/** The host's own memory is told with the machine; what TensorFlow says of it means nothing. */
function describeDevice({ name, type, memoryBytes, used }: Diagnosis['devices'][number]): string {
  const memory = type === 'CPU' ? '' : `, ${formatBytes(memoryBytes)} memory`;
  return `device       ${name.replace(/^.*device:/, '')}${memory}${used ? ', used' : ''}`;
}
