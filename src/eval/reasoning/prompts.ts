/** How problems are asked, in our own words. Jinja templates that a user can replace. */
import { readTemplateFile } from '../../data/jinja.js';
import type { Message } from '../../data/pairs.js';
import { ConfigError } from '../../errors.js';
import { compileMessages } from '../../pairs/prompts/message-template.js';
import { letterOf, type Problem } from './problem.js';

/** Our own words. Variable: `question`. */
export const DEFAULT_MATH_TEMPLATE = `{# user #}
{{ question }}

Solve this step by step. Close with your final answer alone in \\boxed{}.
`;

/** Our own words. Variables: `question`, and `options` with a `letter` and a `text` each. */
export const DEFAULT_CHOICE_TEMPLATE = `{# user #}
{{ question }}

{% for option in options %}
{{ option.letter }}. {{ option.text }}
{% endfor %}

One of these options is right. Think it through step by step, and close with a line of the form "The answer is (X).", where X is the letter of that option.
`;

export interface ProblemTemplate {
  readonly source: string;
  render(problem: Problem): Message[];
}

/**
 * A template for a kind of problem, by default ours.
 *
 * @throws ConfigError when it is not valid Jinja, or does not show the question, or the options where there are some
 */
export function createProblemTemplate(
  kind: Problem['kind'],
  source: string = kind === 'math' ? DEFAULT_MATH_TEMPLATE : DEFAULT_CHOICE_TEMPLATE,
  what = `${kind} template`,
): ProblemTemplate {
  const render = compileMessages(source, what);
  const variables = (problem: Problem) => ({
    question: problem.question.trim(),
    options:
      problem.kind === 'choice'
        ? problem.options.map((text, index) => ({ letter: letterOf(index), text: text.trim() }))
        : [],
  });
  checkShown(render(variables(probe(kind))), kind, what);
  return { source, render: (problem) => render(variables(problem)) };
}

/** The template in a file, see {@link createProblemTemplate}. */
export function loadProblemTemplate(kind: Problem['kind'], path: string): ProblemTemplate {
  return createProblemTemplate(kind, readTemplateFile(path, `${kind} template`), `${kind} template ${path}`);
}

const PROBES = ['zqquestionqz', 'zqfirstqz', 'zqsecondqz'] as const;

function probe(kind: Problem['kind']): Problem {
  const [question, first, second] = PROBES;
  const common = { id: '', question, category: '', truth: 'A' };
  return kind === 'math' ? { kind, ...common } : { kind, ...common, options: [first, second], letters: 2 };
}

function checkShown(messages: readonly Message[], kind: Problem['kind'], what: string): void {
  const shown = messages.map(({ content }) => content).join('\n');
  const [question, ...options] = PROBES;
  if (!shown.includes(question)) {
    throw new ConfigError(`The ${what} must show {{ question }}: it does not.`);
  }
  if (kind === 'choice' && !options.every((option) => shown.includes(option))) {
    throw new ConfigError(
      `The ${what} must show every option of options, with its letter and text: it does not.`,
    );
  }
}
