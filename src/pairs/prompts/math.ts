/**
 * The words of simulated users who ask math questions and point out where an answer goes wrong (appendix C.3, in our
 * own words). Jinja templates that a user can replace.
 */
import { compileJinja, readTemplateFile } from '../../data/jinja.js';
import { ConfigError } from '../../errors.js';

export interface MathProblemTemplate {
  readonly source: string;
  /** The first user message. */
  render(problem: string): string;
}

export interface MathFeedbackTemplate {
  readonly source: string;
  /** How many wordings there are. */
  readonly wordings: number;
  /** One of them: about the wrong step, 1-based, and whether the final answer is right all the same. */
  render(wording: number, step: number, answerIsRight: boolean): string;
}

/** Our own words. Variable: `problem`. */
export const DEFAULT_MATH_PROBLEM_TEMPLATE = `{{ problem }}

Work this out step by step, and write your final answer in \\boxed{}.`;

/**
 * Our own words, a wording a line. Variables: `step`, and `right`, true where the final answer is right all the same.
 * None tells what is wrong with the step, or what would be right.
 */
export const DEFAULT_MATH_FEEDBACK_TEMPLATE = `
I think there is a mistake in step {{ step }}.{% if right %} The final answer is right, though.{% endif %}
Step {{ step }} doesn't look right to me{% if right %}, even though you get to the right answer in the end{% endif %}.
can you check step {{ step }} again? something is off there{% if right %}, but the answer itself is correct{% endif %}
Up to there I can follow you, but step {{ step }} seems wrong.{% if right %} The result is correct all the same.{% endif %}
Hmm, step {{ step }}?{% if right %} Your final answer is correct, but I don't think this step is.{% else %} I don't think that is correct.{% endif %}
There's an error in step {{ step }}{% if right %}, although the result at the end is correct{% endif %}. Please look at it again.
step {{ step }} is wrong{% if right %} (the final answer is ok){% endif %}
{% if right %}You got the right answer, but step {{ step }} does not hold up.{% else %}This does not hold up: see step {{ step }}.{% endif %}
I don't understand how you got step {{ step }}. I believe it is not correct{% if right %}, while the answer you end with is{% endif %}.
Please go over step {{ step }} once more, it seems incomplete or mistaken.{% if right %} What you get in the end is right.{% endif %}
You go wrong in step {{ step }}{% if right %} but still reach the correct answer{% endif %}.
Wait, is step {{ step }} really true? It looks like a slip to me.{% if right %} Your answer is right, but the reasoning should be, too.{% endif %}
Everything before step {{ step }} seems fine, that one has a problem.{% if right %} The final answer happens to be correct.{% endif %}
My teacher marked step {{ step }} as wrong.{% if right %} The answer got full marks though.{% endif %}
`;

/**
 * A template of the question from its source, by default ours.
 *
 * @throws ConfigError when it is not valid Jinja or does not use `problem`
 */
export function createMathProblemTemplate(
  source: string = DEFAULT_MATH_PROBLEM_TEMPLATE,
): MathProblemTemplate {
  return compileProblem(source, 'math problem template');
}

/** The template of the question in a file, see {@link createMathProblemTemplate}. */
export function loadMathProblemTemplate(path: string): MathProblemTemplate {
  return compileProblem(readTemplateFile(path, 'math problem template'), `math problem template ${path}`);
}

/**
 * A template of the feedback from its source, by default ours: every line that is not blank is a wording, a template
 * of its own.
 *
 * @throws ConfigError when a line is not valid Jinja or does not use `step`, or there is none
 */
export function createMathFeedbackTemplate(
  source: string = DEFAULT_MATH_FEEDBACK_TEMPLATE,
): MathFeedbackTemplate {
  return compileFeedback(source, 'math feedback template');
}

/** The template of the feedback in a file, see {@link createMathFeedbackTemplate}. */
export function loadMathFeedbackTemplate(path: string): MathFeedbackTemplate {
  return compileFeedback(readTemplateFile(path, 'math feedback template'), `math feedback template ${path}`);
}

function compileProblem(source: string, what: string): MathProblemTemplate {
  const render = compileJinja(source, what);
  const probe = 'zqproblemqz';
  if (!render({ problem: probe }).includes(probe)) {
    throw new ConfigError(`The ${what} must show the problem: expected {{ problem }} in it, found none.`);
  }
  return { source, render: (problem) => render({ problem: problem.trim() }).trim() };
}

function compileFeedback(source: string, what: string): MathFeedbackTemplate {
  const wordings = source.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const place = `${what}, line ${index + 1},`;
    const render = compileJinja(line.trim(), place);
    if ([true, false].some((right) => !render({ step: 907, right }).includes('907'))) {
      throw new ConfigError(`The ${place} must name the step: expected {{ step }} in it, found none.`);
    }
    return [render];
  });
  if (wordings.length === 0) throw new ConfigError(`The ${what} has no wording: expected one a line.`);
  return {
    source,
    wordings: wordings.length,
    render(wording, step, right) {
      const render = wordings[wording] as (typeof wordings)[number];
      return render({ step, right }).trim();
    },
  };
}
