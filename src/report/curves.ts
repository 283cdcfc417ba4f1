/** Which metrics stand together in one drawing, and what of them is drawn. */

import { mean } from '../data/statistics.js';
import type { ReportTraining } from './report-data.js';

export interface Curve {
  /** What the legend calls it; the same for the same thing of different runs. */
  label: string;
  heldOut: boolean;
  points: { step: number; value: number }[];
}

export interface Panel {
  /** Name for files: `loss`, `rewards-margins`. */
  name: string;
  title: string;
  /** Title of the vertical axis. */
  unit: string;
  curves: Curve[];
  /** Where a policy that has learnt nothing stands. */
  untrained: number | null;
  /** Whether it is one of those that are looked at first. */
  main: boolean;
}

interface Group {
  name: string;
  title: string;
  unit: string;
  /** Metrics by name, each with its label. */
  of: (metric: string) => string | null;
}

const exactly =
  (labels: Readonly<Record<string, string>>) =>
  (metric: string): string | null =>
    Object.hasOwn(labels, metric) ? (labels[metric] as string) : null;

/** In the order in which they are shown. */
const MAIN_GROUPS: readonly Group[] = [
  { name: 'loss', title: 'Loss', unit: 'mean loss of a pair', of: exactly({ loss: 'loss' }) },
  {
    name: 'margin',
    title: 'Reward margin',
    unit: 'chosen minus rejected',
    of: exactly({ 'rewards/margins': 'margin' }),
  },
  {
    name: 'accuracy',
    title: 'Reward accuracy',
    unit: 'share of pairs',
    of: exactly({ 'rewards/accuracies': 'accuracy' }),
  },
  {
    name: 'rewards',
    title: 'Rewards of both answers',
    unit: 'implicit reward',
    of: exactly({ 'rewards/chosen': 'chosen', 'rewards/rejected': 'rejected' }),
  },
  {
    name: 'reward',
    title: 'Reward of sampled answers',
    unit: 'reward',
    of: (metric) =>
      /^(reward|rewards|score|scores)(_|\/|$)/.test(metric) && !/std|variance/.test(metric) ? metric : null,
  },
  {
    name: 'kl',
    title: 'Distance from the reference',
    unit: 'KL divergence, nats',
    of: (metric) => (/(^|[/_])kl$/i.test(metric) ? metric : null),
  },
];

/** What says nothing of what is learnt. */
const LEFT_OUT = /^(step|epoch|num_tokens|num_input_tokens_seen|total_flos)$|(runtime|per_second|seconds)$/;

/** Points of a curve that are drawn at most; longer ones are means of neighbours. */
const MOST_POINTS = 300;

/** The drawings that the metrics of a training give. */
export function panelsOf({ metrics, untrained }: Pick<ReportTraining, 'metrics' | 'untrained'>): Panel[] {
  const names = new Set(metrics.flatMap((row) => Object.keys(row).map(withoutEval)));
  const panels = new Map<string, Panel>();
  for (const name of names) {
    if (LEFT_OUT.test(name)) continue;
    const curves = [false, true].flatMap((heldOut) => curveOf(name, heldOut, metrics) ?? []);
    if (curves.length === 0) continue;
    const group = MAIN_GROUPS.find(({ of }) => of(name) !== null);
    const panel = panelFor(group, name, panels);
    const label = group?.of(name) ?? name;
    panel.curves.push(...curves.map((curve) => ({ ...curve, label })));
    panel.untrained ??= untrained[name] ?? null;
  }
  return [...panels.values()].sort((a, b) => rank(a) - rank(b));
}

function panelFor(group: Group | undefined, metric: string, panels: Map<string, Panel>): Panel {
  const name = group?.name ?? `metric-${metric.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`;
  const known = panels.get(name);
  if (known !== undefined) return known;
  const panel: Panel = {
    name,
    title: group?.title ?? metric,
    unit: group?.unit ?? metric,
    curves: [],
    untrained: null,
    main: group !== undefined,
  };
  panels.set(name, panel);
  return panel;
}

function rank({ name }: Panel): number {
  const at = MAIN_GROUPS.findIndex((group) => group.name === name);
  return at === -1 ? MAIN_GROUPS.length : at;
}

function withoutEval(metric: string): string {
  return metric.replace(/^eval_/, '');
}

function curveOf(name: string, heldOut: boolean, metrics: ReportTraining['metrics']): Curve | undefined {
  const key = heldOut ? `eval_${name}` : name;
  const points = metrics.flatMap(({ step, [key]: value }) =>
    step !== undefined && value !== undefined && Number.isFinite(value) ? [{ step, value }] : [],
  );
  return points.length === 0 ? undefined : { label: name, heldOut, points: thinned(points) };
}

/** Means of neighbouring points, so that as few are left as can be told apart. */
export function thinned(points: Curve['points'], most = MOST_POINTS): Curve['points'] {
  if (points.length <= most) return points;
  const size = Math.ceil(points.length / most);
  return Array.from({ length: Math.ceil(points.length / size) }, (_, i) => {
    const some = points.slice(i * size, (i + 1) * size);
    return { step: mean(some.map(({ step }) => step)), value: mean(some.map(({ value }) => value)) };
  });
}
