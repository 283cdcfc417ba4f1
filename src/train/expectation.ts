import type { z } from 'zod';

const TYPE_NAMES: Readonly<Record<string, string>> = {
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list of them',
  string: 'text',
};

/** What a value should have been, in words that follow "expected". */
export function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return TYPE_NAMES[issue.expected] ?? `a ${issue.expected}`;
    case 'invalid_value': {
      const values = issue.values.map(String);
      return values.length === 1 ? `${values[0]}` : `one of ${values.join(', ')}`;
    }
    case 'too_small': {
      if (issue.origin === 'string') return 'some text';
      if (issue.origin === 'array') return 'at least one value';
      return `a number ${issue.inclusive === false ? 'above' : 'of at least'} ${issue.minimum}`;
    }
    case 'too_big':
      return `a number ${issue.inclusive === false ? 'below' : 'of at most'} ${issue.maximum}`;
    case 'invalid_union': {
      // A constant that tells which kind of options these are, and is none of the known ones.
      const { options = [] } = issue as { options?: unknown[] };
      if (issue.errors.length === 0) return `one of ${options.map(String).join(', ')}`;
      const reasons = new Set(issue.errors.flatMap((branch) => branch.slice(0, 1).map(expectation)));
      return [...reasons].join(', or ');
    }
    case 'invalid_format':
      return issue.message;
    default:
      return issue.message;
  }
}
