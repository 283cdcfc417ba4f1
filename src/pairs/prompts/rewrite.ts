/**
 * The words with which a model is asked to write an answer anew (the paper's Figure 8, in our own words). A Jinja
 * template that a user can replace.
 */
import { compileJinja, readTemplateFile } from '../../data/jinja.js';
import { ConfigError } from '../../errors.js';

export interface RewriteTemplate {
  readonly source: string;
  /** The user message that asks for the rewrite of the answer before it. */
  render(followUp: string): string;
}

/** Our own words. Variable: `follow_up`, what the user said to the answer. */
export const DEFAULT_REWRITE_TEMPLATE = `Write your last answer again, as it should have been if you had known from the start what its reader said to it. What the reader said stands between the marks below.

- Do what the reader asks for or hints at. Mend what is found fault with, keep what was good.
- Keep to about the length of your last answer, unless the reader asks for more.
- Stay with what is safe, lawful and decent, even where the reader wants something else.
- The new answer takes the place of the old one, and no one will see what the reader said. So it must not speak of it: no thanks, no apology, no word about a change or an earlier version.
- Give the new answer and nothing else, without an introduction and without a closing remark.

<<<
{{ follow_up }}
>>>`;

/**
 * A rewrite template from its source, by default ours.
 *
 * @throws ConfigError when it is not valid Jinja or does not use `follow_up`
 */
export function createRewriteTemplate(source: string = DEFAULT_REWRITE_TEMPLATE): RewriteTemplate {
  return compileRewriteTemplate(source, 'rewrite template');
}

/**
 * The rewrite template in a file, see {@link createRewriteTemplate}.
 *
 * @throws ConfigError when the file cannot be read, or is not a rewrite template
 */
export function loadRewriteTemplate(path: string): RewriteTemplate {
  return compileRewriteTemplate(readTemplateFile(path, 'rewrite template'), `rewrite template ${path}`);
}

function compileRewriteTemplate(source: string, what: string): RewriteTemplate {
  const render = compileJinja(source, what);
  const probe = 'zqfollowupqz';
  if (!render({ follow_up: probe }).includes(probe)) {
    throw new ConfigError(
      `The ${what} must show what the user said: expected {{ follow_up }} in it, found none.`,
    );
  }
  return { source, render: (followUp) => render({ follow_up: followUp.trim() }).trim() };
}
