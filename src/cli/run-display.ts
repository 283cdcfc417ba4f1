import type { Counts } from '../data/tally.js';
import type { RunEvent } from '../run/events.js';
import type { RunSummary, StageSummary } from '../run/pipeline.js';
import type { RunPlan, StageOutlook } from '../run/plan.js';
import type { StageEstimate } from '../run/stage.js';
import { STAGE_TITLES, type StageName } from '../run/stage-names.js';
import type { TrainEvent } from '../train/events.js';
import { formatNumber, formatSeconds, formatTable, shellWord } from './format.js';
import type { Progress } from './progress.js';
import { eventPrinter } from './train-command.js';
import { onlineEventPrinter } from './train-online-command.js';

/** The plan as a table: what is to be done and why, and what the model will be asked. */
export function describePlan({ folder, stages }: RunPlan): string {
  const shown = stages.filter(({ state }) => state !== 'left-out');
  const asks = shown.some(({ estimate }) => estimate !== undefined);
  const head = ['stage', 'state', ...(asks ? ['requests', 'tokens', 'time', 'cost'] : []), 'why'];
  const rows = shown.map((outlook) => [
    outlook.stage,
    outlook.state.replaceAll('-', ' '),
    ...(asks ? estimateCells(outlook) : []),
    outlook.reasons.join('; '),
  ]);
  const total = sumOf(shown);
  const lines = [`Run in ${folder}`, formatTable([head, ...rows])];
  if (total !== null) lines.push(`The model will be asked at most about ${describeEstimate(total)}.`);
  if (shown.some(({ estimate }) => estimate === null)) {
    lines.push('What is not known yet is estimated once there are conversations.');
  }
  return lines.join('\n');
}

function estimateCells({ estimate }: StageOutlook): string[] {
  if (estimate === undefined) return ['', '', '', ''];
  if (estimate === null) return ['?', '?', '?', '?'];
  const { requests, promptTokens, completionTokens, seconds, cost } = estimate;
  return [
    String(requests),
    formatCount(promptTokens + completionTokens),
    seconds === null ? '?' : formatSeconds(seconds),
    cost === null ? '-' : formatNumber(cost),
  ];
}

function sumOf(stages: readonly StageOutlook[]): StageEstimate | null {
  const known = stages.flatMap(({ estimate }) => estimate ?? []);
  if (known.length === 0) return null;
  const sum = (value: (estimate: StageEstimate) => number | null) =>
    known.reduce<number | null>((total, each) => {
      const one = value(each);
      return total === null || one === null ? null : total + one;
    }, 0);
  return {
    requests: sum(({ requests }) => requests) ?? 0,
    promptTokens: sum(({ promptTokens }) => promptTokens) ?? 0,
    completionTokens: sum(({ completionTokens }) => completionTokens) ?? 0,
    seconds: sum(({ seconds }) => seconds),
    cost: sum(({ cost }) => cost),
  };
}

function describeEstimate({
  requests,
  promptTokens,
  completionTokens,
  seconds,
  cost,
}: StageEstimate): string {
  const parts = [`${requests} requests`, `${formatCount(promptTokens + completionTokens)} tokens`];
  if (seconds !== null) parts.push(formatSeconds(seconds));
  if (cost !== null) parts.push(`${formatNumber(cost)} in the currency of its prices`);
  return parts.join(', ');
}

/** `950`, `12 k`, `3.4 M`. */
function formatCount(count: number): string {
  if (count < 1000) return String(count);
  const [value, unit] = count < 1_000_000 ? [count / 1000, 'k'] : [count / 1_000_000, 'M'];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/** Shows a run as it goes: a bar for the stage at work, a line for each that is done. */
export function runPrinter(progress: Progress): (event: RunEvent) => void {
  const showOffline = eventPrinter(progress);
  const showOnline = onlineEventPrinter(progress);
  let stage: StageName | undefined;
  return (event) => {
    switch (event.type) {
      case 'plan':
        progress.line(`${describePlan(event.plan)}\n`);
        return;
      case 'up-to-date':
        progress.line(`${event.stage}: up to date`);
        return;
      case 'stage': {
        stage = event.stage;
        const { reasons, estimate } = event.outlook;
        const asked = estimate ? `; at most about ${describeEstimate(estimate)}` : '';
        progress.end();
        progress.line(`${event.stage}: ${STAGE_TITLES[event.stage]} (${reasons.join('; ')})${asked}`);
        return;
      }
      case 'progress': {
        const { stage, done, total, text } = event;
        const count = total > 0 ? `${done}/${total}` : `${done}`;
        progress.update(stage, done, total, text === undefined ? count : `${count}, ${text}`);
        return;
      }
      case 'notice':
        progress.line(`note: ${event.message}`);
        return;
      case 'train':
        if (stage === 'online') showOnline(event.event);
        else showOffline(event.event as TrainEvent);
        return;
      case 'done': {
        const { stage, counts, seconds, same } = event;
        progress.end();
        const unchanged = same ? '; its rows are the same as before' : '';
        for (const each of counts) progress.line(`  ${describeCounts(each)}`);
        progress.line(`  ${stage} took ${formatSeconds(seconds)}${unchanged}`);
      }
    }
  };
}

/** `120 conversations in, 80 out, 40 dropped: 30 other-language, 10 too-many-turns`. */
export function describeCounts({ unit, in: entered, out, dropped }: Counts): string {
  const reasons = Object.entries(dropped).sort(([, a], [, b]) => b - a);
  const all = reasons.reduce((sum, [, count]) => sum + count, 0);
  const why = reasons.map(([reason, count]) => `${count} ${reason}`).join(', ');
  return `${entered} ${unit} in, ${out} out${all === 0 ? '' : `, ${all} dropped: ${why}`}`;
}

/** How a run ended: the funnel, and what to do next. */
export function describeRun(summary: RunSummary, { again }: { again: string }): string {
  const { outcome, interrupted, folder, stages, weights, seconds } = summary;
  const lines = ['', funnelTable(stages), ''];
  if (outcome === 'interrupted') {
    lines.push(`Stopped in ${interrupted} after ${formatSeconds(seconds)}; what is done stays done.`);
    lines.push(`Go on with: ${again}`);
    return lines.join('\n');
  }
  const where = shellWord(folder);
  lines.push(`Done in ${formatSeconds(seconds)}. Everything is in ${folder}.`);
  if (stages.some(({ stage, counts }) => stage === 'pairs' && counts !== null)) {
    lines.push(`Where a pair came from:  npx persona-dpo inspect ${where} PAIR`);
  }
  if (weights !== null) lines.push(`What was trained:        ${weights}`);
  else if (isDone('pairs', stages)) {
    lines.push(`Train on the pairs:      npx persona-dpo train --pairs ${where}/pairs/pairs.jsonl --help`);
  }
  return lines.join('\n');
}

function isDone(name: StageName, stages: readonly StageSummary[]): boolean {
  return stages.some(({ stage, counts }) => stage === name && counts !== null);
}

/** The funnel of stages that are done: what came in and went out of each, and the reasons that dropped most. */
export function funnelTable(
  stages: readonly Pick<StageSummary, 'stage' | 'counts' | 'usage' | 'seconds'>[],
): string {
  const rows = stages.flatMap(({ stage, counts, usage, seconds }) => {
    const time = seconds === null ? '-' : formatSeconds(seconds);
    const asked = usage === null ? '' : `${usage.requests} (+${usage.cached} kept)`;
    if (counts === null) return [[stage, '', '-', '-', '', asked, time]];
    return counts.map((each, i) => [
      i === 0 ? stage : '',
      each.unit,
      String(each.in),
      String(each.out),
      topReasons(each),
      i === 0 ? asked : '',
      i === 0 ? time : '',
    ]);
  });
  return formatTable([['stage', 'of', 'in', 'out', 'dropped as', 'requests', 'time'], ...rows]);
}

/** Reasons that are shown in a line of the table. */
const SHOWN_REASONS = 3;

function topReasons({ dropped }: Counts): string {
  const reasons = Object.entries(dropped).sort(([, a], [, b]) => b - a);
  const shown = reasons.slice(0, SHOWN_REASONS).map(([reason, count]) => `${count} ${reason}`);
  const rest = reasons.slice(SHOWN_REASONS).reduce((sum, [, count]) => sum + count, 0);
  return [...shown, ...(rest === 0 ? [] : [`${rest} for other reasons`])].join(', ');
}
