import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { addSchemaFlags, readSchemaFlags } from '../../src/cli/schema-flags.js';

const schema = z.object({
  maxTokens: z.number().int().default(5).describe('Most tokens.'),
  limit: z.number().nullable().default(null).describe('A limit.'),
  shout: z.boolean().default(false).describe('Shouts.'),
  words: z
    .union([z.string(), z.array(z.string())])
    .transform((value) => [value].flat())
    .describe('Words.'),
  kind: z.enum(['a', 'b']).default('a').describe('Kind.'),
  columns: z.object({ turnTime: z.string().optional().describe('When.') }).prefault({}),
  roles: z.record(z.string(), z.string()).default({}).describe('Roles.'),
});

const union = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('near').describe('Here.'), size: z.number().describe('Size.') }),
  z.object({ kind: z.literal('far').describe('There.'), host: z.string().describe('Host.') }),
]);

function parse(args: string[], of: z.ZodType = schema, prefix?: string): Record<string, unknown> {
  const command = new Command();
  const options = prefix === undefined ? {} : { prefix };
  addSchemaFlags(command, of, options).parse(args, { from: 'user' });
  return readSchemaFlags(command, of, options);
}

describe('flags from a schema', () => {
  test('show placeholder, description and default', () => {
    const help = addSchemaFlags(new Command(), schema).configureHelp({ helpWidth: 200 }).helpInformation();
    expect(help).toMatch(/--max-tokens <NUMBER> +Most tokens\. \(default: 5\)/);
    expect(help).toMatch(/--kind <a\|b> +Kind\. \(default: a\)/);
    expect(help).toMatch(/--shout \[BOOL\] +Shouts\. \(default: false\)/);
    expect(help).toMatch(/--words <TEXT\.\.\.> +Words\.$/m);
    expect(help).toMatch(/--columns-turn-time <TEXT> +When\.$/m);
    expect(help).toMatch(/--roles <NAME=VALUE\.\.\.> +Roles\.$/m);
  });

  test('give values by the names in code, of the type that the option has', () => {
    expect(parse([])).toEqual({});
    expect(
      parse([
        ...['--max-tokens', '7', '--limit', 'none', '--shout', '--words', 'a', 'b'],
        ...['--columns-turn-time', 'ts', '--roles', 'agent=assistant', 'client=user'],
      ]),
    ).toEqual({
      maxTokens: 7,
      limit: null,
      shout: true,
      words: ['a', 'b'],
      columns: { turnTime: 'ts' },
      roles: { agent: 'assistant', client: 'user' },
    });
    expect(parse(['--max-tokens', 'many', '--words', 'one'])).toEqual({ maxTokens: 'many', words: 'one' });
  });

  test('of several kinds of object are those of all, behind a prefix', () => {
    expect(parse(['--llm-kind', 'far', '--llm-host', 'h', '--llm-size', '3'], union, 'llm')).toEqual({
      kind: 'far',
      host: 'h',
      size: 3,
    });
    const help = addSchemaFlags(new Command(), union).configureHelp({ helpWidth: 200 }).helpInformation();
    expect(help).toMatch(/--kind <near\|far> +near: Here\. far: There\./);
  });

  test('refuse a pair without a name', () => {
    expect(() => parse(['--roles', 'agent'])).toThrow('--roles: expected NAME=VALUE, got agent');
  });
});
