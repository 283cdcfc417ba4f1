/** What was run, at a glance and in full. */

import { type Child, definitions, empty, folded, h, section } from './dom.js';
import { data, type ShownRun } from './state.js';
import { count, duration, moment, name, number, percent } from './text.js';

export function overview(run: ShownRun): HTMLElement {
  const open = run.stages.filter(({ done }) => !done);
  return section(
    'overview',
    'What was run',
    tiles(run),
    open.length > 0 &&
      h('p', { class: 'notice' }, `Not done yet: ${open.map(({ name: stage }) => stage).join(', ')}.`),
    definitions(factsOf(run)),
    run.config === null
      ? empty('The run has no configuration: it was made stage by stage.')
      : folded('Configuration', () => h('pre', { tabindex: 0 }, run.config ?? '')),
    files(run),
  );
}

function tiles(run: ShownRun): HTMLElement {
  const figures = keyFigures(run);
  return h(
    'dl',
    { class: 'tiles' },
    ...figures.map(({ title, value, note }) =>
      h('div', {}, h('dt', {}, title), h('dd', {}, value, note !== '' && h('small', {}, note))),
    ),
  );
}

export interface KeyFigure {
  title: string;
  value: string;
  note: string;
}

/** The figures that a run is known by; the comparison of runs has the same. */
export function keyFigures(run: ShownRun): KeyFigure[] {
  const first = run.stages.find(({ name: stage, counts }) => stage === 'conversations' && counts.length > 0);
  const [conversations] = first?.counts ?? [];
  const last = run.trainings.at(-1)?.last ?? {};
  const seconds = run.stages.reduce((sum, stage) => sum + (stage.seconds ?? 0), 0);
  const costs = run.stages.flatMap(({ usage }) => usage?.cost ?? []);
  const figures: (KeyFigure | null)[] = [
    conversations === undefined
      ? null
      : {
          title: 'Conversations',
          value: count(conversations.out),
          note: `of ${count(conversations.in)} in the logs`,
        },
    { title: 'Preference pairs', value: count(run.pairsInAll), note: pairsNote(run) },
    run.personasInAll === 0 ? null : { title: 'Personas', value: count(run.personasInAll), note: '' },
    last.step === undefined
      ? null
      : { title: 'Training steps', value: count(last.step), note: lossNote(last) },
    accuracyFigure(last),
    { title: 'Time', value: duration(seconds), note: 'all stages together' },
    costs.length === 0
      ? null
      : {
          title: 'Cost',
          value: number(costs.reduce((sum, cost) => sum + cost, 0)),
          note: 'at the configured prices',
        },
  ];
  return figures.filter((figure) => figure !== null);
}

function pairsNote({ pairsInAll, pairsShown, stages }: ShownRun): string {
  if (pairsShown < pairsInAll) return `the first ${count(pairsShown)} are shown`;
  const [counts] = stages.find(({ name: stage }) => stage === 'pairs')?.counts ?? [];
  return counts === undefined || counts.in === counts.out ? '' : `of ${count(counts.in)} before the filter`;
}

function lossNote(last: Readonly<Record<string, number>>): string {
  const loss = last.eval_loss ?? last.loss;
  return loss === undefined ? '' : `${last.eval_loss === undefined ? '' : 'held-out '}loss ${number(loss)}`;
}

function accuracyFigure(last: Readonly<Record<string, number>>): KeyFigure | null {
  const accuracy = last['eval_rewards/accuracies'] ?? last['rewards/accuracies'];
  if (accuracy === undefined) return null;
  const heldOut = last['eval_rewards/accuracies'] !== undefined;
  const margin = last[heldOut ? 'eval_rewards/margins' : 'rewards/margins'];
  return {
    title: heldOut ? 'Held-out accuracy' : 'Reward accuracy',
    value: percent(accuracy, 0),
    note: margin === undefined ? '' : `margin ${number(margin)}`,
  };
}

function factsOf(run: ShownRun): (readonly [Child, Child])[] {
  const { stages } = run;
  const begun = stages.flatMap(({ startedAt }) => startedAt ?? []).sort();
  const ended = stages.flatMap(({ finishedAt }) => finishedAt ?? []).sort();
  const models = [...new Set(stages.flatMap(({ model }) => model ?? []))];
  const facts: [Child, Child][] = [['Folder', h('code', {}, run.folder)]];
  if (begun.length > 0) facts.push(['Begun', moment(begun[0] as string)]);
  if (ended.length > 0) facts.push(['Last stage done', moment(ended.at(-1) as string)]);
  const trained = run.settings['train.model'] ?? run.settings.model;
  if (trained !== undefined) facts.push(['Trained model', h('code', {}, trained)]);
  if (models.length > 0) facts.push(['Models asked', h('ul', {}, ...models.map(modelLine))]);
  for (const [what, values] of versionsOf(run)) facts.push([what, values]);
  for (const { stage, outcome } of run.trainings) {
    if (outcome !== null && outcome !== 'finished')
      facts.push([`Training${stage === '' ? '' : ` (${stage})`}`, outcome]);
  }
  facts.push(['Report by', data.writtenBy]);
  return facts;
}

/** An identity begins with what people call the model; what makes it exact follows. */
function modelLine(model: string): HTMLElement {
  const [called = '', ...exact] = model.split(', ');
  return h(
    'li',
    {},
    h('code', {}, called),
    exact.length > 0 && h('small', { class: 'exact' }, exact.join(', ')),
  );
}

/** Versions and machines; several where stages were done by several. */
function versionsOf({ stages }: ShownRun): [string, string][] {
  const versions = new Map<string, Set<string>>();
  for (const stage of stages) {
    for (const [what, version] of Object.entries(stage.versions)) {
      const title = what === 'machine' ? 'Machine' : what;
      versions.set(title, (versions.get(title) ?? new Set()).add(version));
    }
  }
  return [...versions].map(([what, known]) => [what, [...known].join('; ')]);
}

function files({ stages }: ShownRun): Child {
  const written = stages.flatMap((stage) => stage.files.map((file) => ({ stage: stage.name, ...file })));
  if (written.length === 0) return null;
  return folded(`Files of the run (${count(written.length)})`, () =>
    h(
      'ul',
      { class: 'files' },
      ...written.map(({ stage, name: file, rows, bytes }) =>
        h(
          'li',
          {},
          h('code', {}, name(`${stage}/${file}`)),
          h('span', { class: 'muted' }, rows === null ? ` ${count(bytes)} bytes` : ` ${count(rows)} rows`),
        ),
      ),
    ),
  );
}
