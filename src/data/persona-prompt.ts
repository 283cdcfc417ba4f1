/**
 * How the persona enters a prompt: as the system message, the same words in training and in use (the paper's
 * Figure 9, in our own words). The words are a Jinja template that a user can replace.
 */
import { ConfigError } from '../errors.js';
import { compileJinja, readTemplateFile } from './jinja.js';
import type { Message } from './pairs.js';

export interface PersonaTemplate {
  readonly source: string;
  /** The system message for a persona; `system` is the conversation's own system message, if it has one. */
  render(persona: string, system?: string): string;
}

/**
 * Our own words. Variables: `persona`, and `system`, the conversation's own system message (undefined where
 * there is none).
 */
export const DEFAULT_PERSONA_TEMPLATE = `{% if system %}
{{ system }}

{% endif %}
You are writing to one particular person. First of all do what this person asks for now, in the light of what has been said so far. Where the request leaves it open, let what is known about the person decide on content, depth, tone and form. Do not mention that you know it.

What is known about this person: {{ persona }}`;

/**
 * A persona template from its source, by default ours. A template that does not use `system` gets the
 * conversation's own system message put before it, with an empty line between.
 *
 * @throws ConfigError when it is not valid Jinja or does not use `persona`
 */
export function createPersonaTemplate(source: string = DEFAULT_PERSONA_TEMPLATE): PersonaTemplate {
  return compilePersonaTemplate(source, 'persona template');
}

function compilePersonaTemplate(source: string, what: string): PersonaTemplate {
  const render = compileJinja(source, what);
  const probe = 'zqpersonaqz';
  if (!render({ persona: probe }).includes(probe)) {
    throw new ConfigError(`The ${what} must show the persona: expected {{ persona }} in it, found none.`);
  }
  const placesSystem = render({ persona: '', system: probe }).includes(probe);
  return {
    source,
    render(persona, system) {
      const own = system?.trim() === '' ? undefined : system;
      const text = render({ persona: persona.trim(), ...(own === undefined ? {} : { system: own }) }).trim();
      return placesSystem || own === undefined ? text : `${own}\n\n${text}`;
    },
  };
}

/**
 * The persona template in a file, see {@link createPersonaTemplate}.
 *
 * @throws ConfigError when the file cannot be read, or is not a persona template
 */
export function loadPersonaTemplate(path: string): PersonaTemplate {
  return compilePersonaTemplate(readTemplateFile(path, 'persona template'), `persona template ${path}`);
}

/**
 * The conversation with the persona as its system message: it takes the place of the default system prompt
 * that a chat template may have, and holds the conversation's own system message where there is one. Without a
 * persona the messages are returned as they are.
 */
export function withPersona(
  messages: readonly Message[],
  persona: string | undefined,
  template: PersonaTemplate = createPersonaTemplate(),
): readonly Message[] {
  if (persona === undefined || persona.trim() === '') return messages;
  const [first, ...rest] = messages;
  return first?.role === 'system'
    ? [{ role: 'system', content: template.render(persona, first.content) }, ...rest]
    : [{ role: 'system', content: template.render(persona) }, ...messages];
}
