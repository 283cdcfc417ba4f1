import type { AskingEstimate } from '../eval/estimate.js';
import type { EvaluationCell, EvaluationResultInput } from '../eval/results.js';
import { formatNumber, formatSeconds, formatTable } from './format.js';

/** `4,000 requests, about 2,400,000 tokens ...`: what a run without `--dry-run` would ask. */
export function describeAsking(
  { requests, promptTokens, completionTokens, cost }: AskingEstimate,
  tokensPerSecond: number,
): string {
  const count = (value: number) => Math.round(value).toLocaleString('en');
  const tokens = promptTokens + completionTokens;
  const parts = [
    `${count(requests)} requests`,
    `about ${count(promptTokens)} tokens of prompts and at most ${count(completionTokens)} of replies`,
    `${formatSeconds(tokens / tokensPerSecond)} at ${count(tokensPerSecond)} tokens a second`,
    cost === null ? undefined : `at most ${formatNumber(cost)} in the currency of its prices`,
  ];
  return `${parts.filter((part) => part !== undefined).join(', ')}. Replies that are kept already are not asked for.`;
}

/** The tables of a result, one below the other. */
export function describeResult({ title, about, tables }: EvaluationResultInput): string {
  const parts = tables.map((table) => {
    const head = [table.rowTitle ?? '', ...table.columns.map((column) => column.title)];
    const rows = table.rows.map(({ label, cells, group }) => [
      group === undefined ? label : `  ${label}`,
      ...cells.map((cell, index) => describeCell(cell, table.columns[index]?.unit ?? 'number')),
    ]);
    return [table.title, formatTable([head, ...rows])].join('\n');
  });
  return [title, about ?? '', ...parts].filter((part) => part !== '').join('\n\n');
}

type Unit = NonNullable<EvaluationResultInput['tables'][number]['columns'][number]['unit']>;

function describeCell({ value, low, high }: EvaluationCell, unit: Unit): string {
  if (value === null) return '-';
  if (typeof value === 'string') return value;
  if (unit === 'count') return String(value);
  const scale = unit === 'share' ? 100 : 1;
  const digits = unit === 'share' || unit === 'percent' ? 1 : 3;
  const write = (number: number) => (scale * number).toFixed(digits);
  const sign = unit === 'share' || unit === 'percent' ? ' %' : '';
  return low === undefined || high === undefined
    ? `${write(value)}${sign}`
    : `${write(value)}${sign}  (${write(low)} to ${write(high)})`;
}
