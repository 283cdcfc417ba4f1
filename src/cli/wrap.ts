/** Text in lines of at most `width` characters, each after `indent`; line breaks and indents in the text stay. */
export function wrap(
  text: string,
  { width = 88, indent = '' }: { width?: number; indent?: string } = {},
): string {
  const room = width - indent.length;
  return text
    .split('\n')
    .flatMap((line) => wrapLine(line, room))
    .map((line) => `${indent}${line}`.trimEnd())
    .join('\n');
}

function wrapLine(line: string, room: number): string[] {
  const [, margin = '', words = ''] = /^(\s*)(.*)$/.exec(line) ?? [];
  const lines: string[] = [];
  let last = margin;
  for (const word of words.split(' ')) {
    const longer = last === margin ? `${margin}${word}` : `${last} ${word}`;
    if (longer.length <= room || last === margin) last = longer;
    else {
      lines.push(last);
      last = `${margin}${word}`;
    }
  }
  return [...lines, last];
}
