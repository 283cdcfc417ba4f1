/** What options of evaluation need of one another. */

import type { NameStyle } from './option-set.js';
import { nameIn } from './option-set.js';

export interface EvaluationOptions {
  evalPairs: readonly string[] | null;
  evalSplit: number;
  evalStrategy: 'no' | 'steps' | 'epoch';
  evalOnStart: boolean;
  loadBestModelAtEnd: boolean;
  earlyStoppingPatience: number | null;
  metricForBestModel: string;
}

/** Problems of a combination, in words, that each option alone can't show. */
export function evaluationProblems(
  options: EvaluationOptions,
  metrics: readonly string[],
  style: NameStyle,
): string[] {
  const name = (key: keyof EvaluationOptions) => nameIn(style, key);
  const problems: string[] = [];
  const hasPairs = options.evalPairs !== null || options.evalSplit > 0;
  if ((options.evalStrategy !== 'no' || options.evalOnStart) && !hasPairs) {
    problems.push(
      `evaluation needs pairs: give ${name('evalPairs')}, or a share above 0 as ${name('evalSplit')}`,
    );
  }
  const metric = options.metricForBestModel.replace(/^eval_/, '');
  if (!metrics.includes(metric)) {
    problems.push(`${name('metricForBestModel')}: expected one of ${metrics.join(', ')}, got ${metric}`);
  }
  if (options.evalPairs !== null && options.evalSplit > 0) {
    problems.push(`give ${name('evalPairs')} or ${name('evalSplit')}, not both`);
  }
  const onTheWay = (['loadBestModelAtEnd', 'earlyStoppingPatience'] as const).filter(
    (key) => options[key] !== null && options[key] !== false,
  );
  for (const key of onTheWay) {
    if (options.evalStrategy === 'no') {
      problems.push(
        `${name(key)} needs evaluations on the way: set ${name('evalStrategy')} to steps or epoch`,
      );
    }
  }
  return problems;
}
