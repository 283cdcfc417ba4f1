/**
 * Prompts of several messages in one template file. A line that holds nothing but one of the Jinja comments
 * `{# system #}`, `{# user #}` and `{# assistant #}` begins a message of that role; a file without them is one user
 * message. Each message is a template of its own, so that nothing in a variable's text can begin another.
 */
import { compileJinja } from '../../data/jinja.js';
import type { Message } from '../../data/pairs.js';
import { ConfigError } from '../../errors.js';

type PromptRole = 'system' | 'user' | 'assistant';

/** The messages of a prompt; those that come out empty are left out. */
export type RenderMessages = (variables: Readonly<Record<string, unknown>>) => Message[];

/**
 * Compiles a template of messages.
 *
 * @param what Names the template in errors: `classification template prompts/classify.jinja`
 * @throws ConfigError when it is not valid Jinja, does not end with a user message, has a system message that is not
 *   the first, or does not show one of `variables`
 */
export function compileMessages(
  source: string,
  what: string,
  variables: readonly string[] = [],
): RenderMessages {
  const parts = split(source).map(({ role, text }) => ({ role, render: compileJinja(text, what) }));
  if (parts.at(-1)?.role !== 'user') {
    throw new ConfigError(`The ${what} must end with a user message, for the model to answer.`);
  }
  if (parts.some(({ role }, index) => role === 'system' && index > 0)) {
    throw new ConfigError(`The ${what} has a system message behind others: expected it to be the first.`);
  }
  const render: RenderMessages = (values) =>
    parts
      .map((part) => ({ role: part.role, content: part.render(values).trim() }))
      .filter(({ content }) => content !== '');
  for (const name of variables) {
    const probe = `zq${name.replace(/\W|_/g, '')}qz`;
    const values = Object.fromEntries(variables.map((each) => [each, each === name ? probe : 'x']));
    if (!render(values).some(({ content }) => content.includes(probe))) {
      throw new ConfigError(`The ${what} must show {{ ${name} }}: it does not.`);
    }
  }
  return render;
}

function split(source: string): { role: PromptRole; text: string }[] {
  const marks = [...source.matchAll(/^[ \t]*\{#-?[ \t]*(system|user|assistant)[ \t]*-?#\}[ \t]*$/gm)];
  const before = source.slice(0, marks[0]?.index);
  const parts = marks.map((mark, index) => ({
    role: mark[1] as PromptRole,
    text: source.slice(mark.index + mark[0].length, marks[index + 1]?.index),
  }));
  return before.trim() === '' && parts.length > 0 ? parts : [{ role: 'user', text: before }, ...parts];
}
