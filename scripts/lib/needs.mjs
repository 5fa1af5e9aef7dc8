/**
 * What parts of the suite need and a machine may lack. A test whose need is absent is skipped and says
 * "skipped: needs NAME: …"; all of those stand in one table at the end, and AGB_REQUIRE turns them into failures.
 */

/** Name → what it is, or how to get it on Debian. */
export const NEEDS = {
  python3: "a Python 3 interpreter: apt-get install python3",
  "python3-venv": "Python's venv with pip: apt-get install python3-venv",
  pypi: "the Python package index, or .cache/ from a run that reached it",
  "npm-registry": "the npm registry, or .cache/ from a run that reached it",
  matplotlib: "apt-get install python3-matplotlib",
  namespaces: "Linux user, mount and PID namespaces that this user may make (util-linux: unshare, nsenter, setpriv)",
  root: "to be run as root",
  jdk: "apt-get install default-jdk-headless",
  r: "apt-get install r-base-core",
  chromium: "apt-get install chromium",
  "x-tools": "apt-get install xvfb xdotool wmctrl openbox xterm imagemagick x11-utils",
  shared: "the folder ../shared with the description of the reference's surface",
};

/** What the environment says must not be skipped. */
export function requiredNeeds(value = process.env.AGB_REQUIRE ?? "") {
  const names = value
    .split(",")
    .map((name) => name.trim())
    .filter(Boolean);
  const unknown = names.filter((name) => name !== "all" && !(name in NEEDS));
  if (unknown.length > 0) {
    throw new Error(`AGB_REQUIRE names ${unknown.join(", ")}; known are all, ${Object.keys(NEEDS).join(", ")}`);
  }
  return { has: (need) => names.includes(need) || names.includes("all") };
}

const SKIP = /\bskipped: needs ([\w-]+)(?:: | )?(.*)$/;

/** Reads what a Rust test prints when it can't run: "skipped: needs NAME", with a reason behind it or none. */
export function parseSkip(line) {
  const found = SKIP.exec(line);
  return found ? { need: found[1], reason: found[2].replace(/^\((.*)\)$/, "$1") } : undefined;
}

/** The table of what was skipped, as lines. */
export function skipTable(skips, required) {
  if (skips.length === 0) return ["Nothing was skipped."];
  const rows = skips.map(({ need, what, reason }) => [
    `skipped: needs ${need}${required.has(need) ? " (required!)" : ""}`,
    what,
    reason ?? "",
  ]);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("   ")
      .trimEnd(),
  );
}
