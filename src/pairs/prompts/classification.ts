/**
 * The words with which a model is asked what kind of follow-up a request is (the paper's Figure 6, in our own words
 * and with our own examples). A Jinja template that a user can replace.
 */
import { readTemplateFile } from '../../data/jinja.js';
import type { Message } from '../../data/pairs.js';
import { compileMessages } from './message-template.js';

export interface ClassificationTemplate {
  readonly source: string;
  /** What the model is asked about two requests that a user made one after the other. */
  render(previous: string, current: string): Message[];
}

/**
 * Our own words. Variables: `previous` and `current`, the two requests; long ones are shortened in the middle. The
 * verdicts must be `Other` (a new request), `Change` (a re-attempt with feedback), `Again` (a re-attempt without) and
 * `Thanks` (positive feedback), as the whole reply, or in double brackets where more is said; by likelihood they are
 * the labels. A line with nothing but `{# user #}` and its like begins a message, see `compileMessages`. The examples
 * are messages of their own because that is what small models follow best.
 */
export const DEFAULT_CLASSIFICATION_TEMPLATE = `{# system #}
A user of an AI assistant made two requests, one right after the other. What the assistant answered to the first is not shown. Say in one word what the second request is:

Other: something else is asked for, be it a new topic, another task, or the same kind of task for another thing
Change: still the same task, with a wish, a correction, a complaint or more detail, said or implied
Again: the same task once more, and nothing new is said; "more" and "again" count as this
Thanks: thanks, praise or contentment, and nothing is asked for

Praise with a wish is Change; thanks with a new task is Other.
{# user #}
First request: Recommend three detective novels.
Second request: How long does concrete take to set?
{# assistant #}
Other
{# user #}
First request: write a slogan for my flower shop
Second request: too long, make it catchy
{# assistant #}
Change
{# user #}
First request: how do i prune a lemon tree
Second request: How do I prune a lemon tree?
{# assistant #}
Again
{# user #}
First request: plan a day trip to Bath
Second request: Lovely, thank you!
{# assistant #}
Thanks
{# user #}
First request: how do i prune a lemon tree
Second request: write a poem about my dog
{# assistant #}
Other
{# user #}
First request: Recommend three detective novels.
Second request: none with serial killers please
{# assistant #}
Change
{# user #}
First request: write a slogan for my flower shop
Second request: once more
{# assistant #}
Again
{# user #}
First request: what does "ad hoc" mean
Second request: ah that makes sense
{# assistant #}
Thanks
{# user #}
First request: plan a day trip to Bath
Second request: plan a birthday dinner for 6
{# assistant #}
Other
{# user #}
First request: explain how a clutch works
Second request: I already know that part. What about motorbikes?
{# assistant #}
Change
{# user #}
First request: Recommend three detective novels.
Second request: three more
{# assistant #}
Again
{# user #}
First request: fix this sentence: he go to school
Second request: Great job.
{# assistant #}
Thanks
{# user #}
First request: what does "ad hoc" mean
Second request: what does "pro bono" mean
{# assistant #}
Other
{# user #}
First request: plan a day trip to Bath
Second request: we have no car, and its only half a day
{# assistant #}
Change
{# user #}
First request: explain how a clutch works
Second request: explain to me how does a clutch work
{# assistant #}
Again
{# user #}
First request: write a slogan for my flower shop
Second request: love it, printing it today
{# assistant #}
Thanks
{# user #}
First request: {{ previous }}
Second request: {{ current }}`;

/**
 * A classification template from its source, by default ours.
 *
 * @throws ConfigError when it is not valid Jinja, does not use `previous` and `current`, or does not end with a user
 *   message
 */
export function createClassificationTemplate(
  source: string = DEFAULT_CLASSIFICATION_TEMPLATE,
): ClassificationTemplate {
  return compileClassificationTemplate(source, 'classification template');
}

/**
 * The classification template in a file, see {@link createClassificationTemplate}.
 *
 * @throws ConfigError when the file cannot be read, or is not a classification template
 */
export function loadClassificationTemplate(path: string): ClassificationTemplate {
  const what = 'classification template';
  return compileClassificationTemplate(readTemplateFile(path, what), `${what} ${path}`);
}

function compileClassificationTemplate(source: string, what: string): ClassificationTemplate {
  const render = compileMessages(source, what, ['previous', 'current']);
  return {
    source,
    render: (previous, current) => render({ previous: previous.trim(), current: current.trim() }),
  };
}
