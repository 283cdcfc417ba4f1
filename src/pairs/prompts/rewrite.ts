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

/** Our own words, few, because small models repeat long instructions. Variable: `follow_up`, what the user said. */
export const DEFAULT_REWRITE_TEMPLATE = `Rewrite your last answer so that it does what this message asks for: "{{ follow_up }}"

Keep about the same length unless the message asks for more, stay safe and lawful even where the message does not, and do not mention the message or that anything was changed. Write only the new answer.`;

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
