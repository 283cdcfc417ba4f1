/** How far verdicts agree with labels. */

export interface Agreement {
  count: number;
  correct: number;
  accuracy: number;
  /** Wilson's interval of the accuracy, 95%. */
  interval: [number, number];
  /** Of each label: how many there are, and the shares found and right among those given. Null of none. */
  byLabel: Record<string, { count: number; recall: number | null; precision: number | null }>;
  /** `confusion[label][verdict]`: how often. */
  confusion: Record<string, Record<string, number>>;
}

/**
 * Compares verdicts with labels, one of each for each case.
 *
 * @param names All labels, in the order in which they are shown; a verdict may be something else
 */
export function agreement(
  labels: readonly string[],
  verdicts: readonly string[],
  names: readonly string[],
): Agreement {
  const columns = [...new Set([...names, ...verdicts])];
  const confusion = Object.fromEntries(
    names.map((name) => [name, Object.fromEntries(columns.map((column) => [column, 0]))]),
  );
  labels.forEach((label, index) => {
    const row = confusion[label] as Record<string, number>;
    row[verdicts[index] as string] = (row[verdicts[index] as string] ?? 0) + 1;
  });
  const of = (label: string, verdict: string) => confusion[label]?.[verdict] ?? 0;
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const share = (part: number, whole: number) => (whole === 0 ? null : part / whole);
  const correct = sum(names.map((name) => of(name, name)));
  return {
    count: labels.length,
    correct,
    accuracy: correct / labels.length,
    interval: wilson(correct, labels.length),
    byLabel: Object.fromEntries(
      names.map((name) => {
        const count = sum(columns.map((column) => of(name, column)));
        const given = sum(names.map((label) => of(label, name)));
        const right = of(name, name);
        return [name, { count, recall: share(right, count), precision: share(right, given) }];
      }),
    ),
    confusion,
  };
}

/** Wilson's score interval of a share, 95%. */
export function wilson(successes: number, count: number): [number, number] {
  const z = 1.959964;
  const share = successes / count;
  const center = share + z ** 2 / (2 * count);
  const spread = z * Math.sqrt((share * (1 - share)) / count + z ** 2 / (4 * count ** 2));
  const scale = 1 + z ** 2 / count;
  return [(center - spread) / scale, (center + spread) / scale];
}
