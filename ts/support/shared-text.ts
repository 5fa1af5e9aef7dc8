/** Texts that are kept at once: a program uses few images. */
const LIMIT = 16;

const kept = new Map<string, string>();

/**
 * The same text, but the copy that was seen first. What comes from native code is a new string each time; the tool list
 * of a session is long, and that of all sessions of an image the same.
 */
export function sharedText(text: string): string {
  const first = kept.get(text);
  if (first !== undefined) return first;
  if (kept.size >= LIMIT) kept.clear();
  kept.set(text, text);
  return text;
}
