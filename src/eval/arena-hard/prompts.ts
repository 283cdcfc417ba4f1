/** How the judge of Arena-Hard is asked, in our own words. A Jinja template that a user can replace. */
import { readTemplateFile } from '../../data/jinja.js';
import type { Message } from '../../data/pairs.js';
import { compileMessages } from '../../pairs/prompts/message-template.js';

/** Our own words. Variables: `question`, `first`, `second`. */
export const DEFAULT_ARENA_TEMPLATE = `{# system #}
You judge two answers to the same request, by assistants A and B.

Begin by answering the request yourself, so that you know what a good answer looks like. Then go through both answers: correct what is wrong in them; see whether they do what was asked, keep to it, and say what the person needs, without much that nobody asked for; note what one has that the other lacks. A request that is unclear may be answered with a question. Neither the length of an answer nor which of the two comes first counts.

Close with one verdict, in double brackets:
[[A>>B]] A is much better
[[A>B]] A is somewhat better
[[A=B]] both are about as good
[[B>A]] B is somewhat better
[[B>>A]] B is much better
{# user #}
<request>
{{ question }}
</request>

<answer assistant="A">
{{ first }}
</answer>

<answer assistant="B">
{{ second }}
</answer>
`;

export interface ArenaTemplate {
  readonly source: string;
  render(question: string, first: string, second: string): Message[];
}

/**
 * A template from its source, by default ours.
 *
 * @throws ConfigError when it is not valid Jinja or does not show question and both answers
 */
export function createArenaTemplate(
  source: string = DEFAULT_ARENA_TEMPLATE,
  what = 'Arena-Hard template',
): ArenaTemplate {
  const render = compileMessages(source, what, ['question', 'first', 'second']);
  return { source, render: (question, first, second) => render({ question, first, second }) };
}

export function loadArenaTemplate(path: string): ArenaTemplate {
  return createArenaTemplate(readTemplateFile(path, 'Arena-Hard template'), `Arena-Hard template ${path}`);
}
