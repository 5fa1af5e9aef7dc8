/** Figures for people: what is typical of several, and tables of them. */

/** The middle, or the mean of the two in the middle. */
export function median(numbers) {
  const sorted = numbers.toSorted((one, other) => one - other);
  const middle = sorted.length / 2;
  return (sorted[Math.ceil(middle) - 1] + sorted[Math.floor(middle)]) / 2;
}

/** The lines of a table in Markdown; all columns but the first stand to the right. */
export function markdown([head, ...rows]) {
  const line = (fields) => `| ${fields.join(" | ")} |`;
  return [line(head), line(head.map((_, index) => (index === 0 ? "---" : "---:"))), ...rows.map(line)];
}
