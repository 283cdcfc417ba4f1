/** How the judge of AlpacaEval 2 is asked, in our own words. A Jinja template that a user can replace. */
import { readTemplateFile } from '../../data/jinja.js';
import type { Message } from '../../data/pairs.js';
import { compileMessages } from '../../pairs/prompts/message-template.js';

/** What the judge may say: the label of the first output, and of the second. Each is one token for common models. */
export const OUTPUT_LABELS = ['m', 'M'] as const;

/** Our own words. Variables: `instruction`, `first`, `second`. */
export const DEFAULT_ALPACA_TEMPLATE = `{# system #}
You compare answers of language models the way a careful person would who needs the answer: is it right, does it do what was asked for, is it pleasant to read. How long an answer is, and which of the two comes first, must not matter.
{# user #}
Two models, called m and M, were given the same instruction. Tell which answer is the better one.

<instruction>
{{ instruction }}
</instruction>

<answer model="m">
{{ first }}
</answer>

<answer model="M">
{{ second }}
</answer>

Reply with the name of the model whose answer is better, m or M, and with nothing else.
`;

export interface AlpacaTemplate {
  readonly source: string;
  render(instruction: string, first: string, second: string): Message[];
}

/**
 * A template from its source, by default ours.
 *
 * @throws ConfigError when it is not valid Jinja or does not show instruction and both answers
 */
export function createAlpacaTemplate(
  source: string = DEFAULT_ALPACA_TEMPLATE,
  what = 'AlpacaEval template',
): AlpacaTemplate {
  const render = compileMessages(source, what, ['instruction', 'first', 'second']);
  return { source, render: (instruction, first, second) => render({ instruction, first, second }) };
}

export function loadAlpacaTemplate(path: string): AlpacaTemplate {
  return createAlpacaTemplate(readTemplateFile(path, 'AlpacaEval template'), `AlpacaEval template ${path}`);
}
