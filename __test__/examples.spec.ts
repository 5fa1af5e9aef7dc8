// @one-isolation: examples are what a user starts, in whatever isolation there is.

/** Every file of `examples/` runs, says what it should, and leaves nothing behind. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Emulator } from "agbcloud-native";

import { type Absence, needs, noChromium, noDesktop } from "./support/needs";
import { ROOT, runNode } from "./support/processes";

const EXAMPLES = join(ROOT, "examples");

interface Expectation {
  /** What it prints, in this order, other lines between. */
  lines: RegExp[];
  absence?: Absence;
}

const EXPECTED: Record<string, Expectation> = {
  "binary-files.mjs": {
    lines: [/read +256000 bytes, .*: true$/, /same as there +true$/, /sent +100000 bytes$/, /same there +true$/],
  },
  "browser.mjs": {
    absence: noChromium,
    lines: [
      /connected +Chromium \d+$/,
      /opened +Corner shop$/,
      /it says +Good morning, stranger$/,
      /a picture +PNG, \d+ pixels wide$/,
      /stopped +true$/,
    ],
  },
  "commands.mjs": {
    lines: [
      /standard output +hello$/,
      /standard error +careful$/,
      /with cwd and envs +somebody buys apples in \/tmp\/shop$/,
      /the next one has neither +\[\]$/,
      /a failed command +success false, exit code 2: .*\/no\/such\/place/,
      /takes too long +success false: .*200 ms/,
    ],
  },
  "contexts.mjs": {
    lines: [
      /context +example-\d+$/,
      /first session wrote +monday\.txt$/,
      /stored +monday\.txt, 14 bytes$/,
      /second session reads +planted a tree$/,
      /synchronised +download Success, upload Success$/,
      /read by its URL +watered it$/,
      /cleared +0 files are left$/,
      /deleted +example-\d+$/,
    ],
  },
  "files.mjs": {
    lines: [
      /written and read +"roses\\ntulips 🌷\\n"$/,
      /create_new +success false: .*exists/,
      /edited +"lilies\\ntulips 🌷\\n"$/,
      /info +19 bytes, directory: false$/,
      /listed +beds \(directory\), plan\.txt \(file\)$/,
      /found +\S+\/beds\/north\.txt, \S+\/beds\/south\.txt$/,
      /read at once +figs and moss$/,
      /left in beds +0$/,
      /what was deleted +success false: .*not found/,
    ],
  },
  "keyboard.mjs": {
    absence: noDesktop,
    lines: [/typed, and taken back/, /the session has +typed: äöü$/, /with Shift held +OK$/],
  },
  "keep-alive.mjs": {
    lines: [
      /held for three minutes +idle, after [4-6] beats$/,
      /expiring +the idle time is running out$/,
      /then let go +released: idleTimeout$/,
    ],
  },
  "recreate.mjs": {
    lines: [
      /deleted elsewhere +1$/,
      /restored +notes\.txt$/,
      /recreated +another id$/,
      /the call went on +what the program remembers \(idle\)$/,
    ],
  },
  "pool.mjs": { lines: [/six pieces of work +1, 4, 9, 16, 25, 36$/, /sessions that did it +[12]$/] },
  "faults.mjs": {
    lines: [
      /labels, twice refused +true$/,
      /struck +2$/,
      /a lost answer +success false: .*may have been executed/,
      /it ran +1$/,
      /a lost creation +found again, idle$/,
    ],
  },
  "labels.mjs": {
    lines: [
      /labels at creation +\{"team":"example-\d+","step":"draft"\}$/,
      /labels now +\{"team":"example-\d+","step":"review","reviewer":"none yet"\}$/,
      /with draft +0$/,
      /with review +1$/,
      /is it this one\? +true$/,
      /without a name +success false: ./,
    ],
  },
  "listing.mjs": {
    lines: [
      /created +5 sessions$/,
      /page 1 +2 more, 2 of 5 so far$/,
      /page 2 +2 more, 4 of 5 so far$/,
      /page 3 +1 more, 5 of 5 so far$/,
      /page 4 +success false: .*No more pages/,
      /left of this batch +0$/,
    ],
  },
  "mcp-tools.mjs": {
    lines: [
      /tools of this image +1\d$/,
      /shell +\(command, .*\) ./,
      /shell +\{"stdout":"42\\n",.*"exit_code":0\}$/,
      /without a command +success false: .*command is required/,
      /make_coffee +success false: .*make_coffee is not available/,
    ],
  },
  "metrics.mjs": {
    lines: [
      /processors +[1-9]\d*$/,
      /busy +\d+\.\d %$/,
      /memory +\d+\.\d of \d+\.\d GiB$/,
      /disk +\d+\.\d of \d+\.\d GiB$/,
      /received, sent +\S+ kB, \S+ kB$/,
      /measured at +\d{4}-\d\d-\d\dT/,
      /service sent it +cpu_count, /,
    ],
  },
  "mouse.mjs": {
    absence: noDesktop,
    lines: [
      /the screen +1920 × 1080 pixels$/,
      /moved to the middle +960, 540$/,
      /clicked on the terminal +it is the active window: true$/,
      /dragged it +\d+ pixels to the right and \d+ down$/,
      /scrolled, clicked/,
      /scrolled by -1 +success false: Invalid amount/,
    ],
  },
  "quickstart.mjs": { lines: [/quickstart$/, /create +session/, /keepAlive/, /✓ No session is left\.$/] },
  "recovery.mjs": {
    lines: [
      /began +new: true, collected 3 numbers$/,
      /found by id +its Python still has 3 numbers$/,
      /found by labels +new: false, same: true$/,
      /used too late +success false: .*not found/,
      /looked for too late +success false, code \w+\.NotFound$/,
      /began again +new: true, collected 3 numbers$/,
    ],
  },
  "rich-outputs.mjs": {
    lines: [
      /printed +weighing the fruit$/,
      /displayed html +<table>/,
      /displayed markdown +The \*\*apple\*\* wins\.$/,
      /displayed latex +\$\\bar\{w\}/,
      /displayed svg +<svg /,
      /displayed json +\{"apple":182,"pear":178,"cherry":8\}$/,
      /the last value +122\.66\d+$/,
      /an exception +success false, .*KeyError.*'melon'/,
      /the heaviest +'apple'$/,
    ],
  },
  "sessions.mjs": {
    lines: [
      /created +session\S* from agb-code-space-1$/,
      /ran a program +hello from \w+$/,
      /kept alive +for another 120 seconds$/,
      /status +RUNNING$/,
      /info tells +.*resourceUrl/,
      /deleted +gone for good$/,
      /kept alive again +success false, code InvalidMcpSession\.NotFound$/,
    ],
  },
  // What is printed in quick succession may come in one piece.
  "streaming.mjs": {
    lines: [
      /onStdout +3/,
      /onStderr +lift-off$/,
      /and at the end +'in orbit'$/,
      /stdout +3/,
      /result +'in orbit'$/,
      /end +success true$/,
      /left an endless loop +it had counted: True$/,
    ],
  },
  "sync-policies.mjs": {
    lines: [
      /the default, in short +uploadPolicy, downloadPolicy, deletePolicy, extractPolicy, recyclePolicy, bwList$/,
      /a white list stored +src; in src: main\.py$/,
      /a mapping brings it to +\/tmp\/elsewhere-\d+\/src\/main\.py$/,
      /without auto-upload +nothing$/,
      /as an archive +one \.tar; unpacked again: 5$/,
      /kept for a day +\/logs: Lifecycle_1Day$/,
      /a wildcard +Wildcard patterns are not supported/,
    ],
  },
  "upload-download.mjs": {
    lines: [
      /the session's place +\/\S+$/,
      /uploaded +(\d+) bytes, progress said \1$/,
      /downloaded +\d+ bytes, beginning with 0,fruit and 1,fruit$/,
      /overwrite: false +success false: .*sorted\.csv$/,
      /through streams +straight from a stream$/,
    ],
  },
  "watching.mjs": {
    lines: [
      /watching +\/tmp\/inbox$/,
      /create +\/tmp\/inbox\/letter\.txt \(file\)$/,
      /modify +\/tmp\/inbox\/letter\.txt \(file\)$/,
      /delete +\/tmp\/inbox\/letter\.txt \(file\)$/,
      /stopped +by its signal$/,
    ],
  },
  "windows.mjs": {
    absence: noDesktop,
    lines: [
      /opened +“.+”, \d+ × \d+ pixels$/,
      /maximized, restored/,
      /put away, brought back +it is the active window: true$/,
      /a picture +image\/png, more than a kilobyte$/,
      /applications in sight +\w+/,
      /closed +0 windows are left$/,
    ],
  },
};

const files = readdirSync(EXAMPLES).filter((name) => name.endsWith(".mjs"));

/** Fails with the whole output unless it has a line like each, in this order. */
function expectLines(output: string, lines: RegExp[]): void {
  const printed = output.split("\n");
  let from = 0;
  for (const line of lines) {
    const found = printed.findIndex((candidate, index) => index >= from && line.test(candidate));
    if (found < 0) throw new Error(`no line like ${line} after line ${from} of\n${output}`);
    from = found + 1;
  }
}

it("every example is known here and stands in the table of examples/README.md", () => {
  expect(files).toEqual(Object.keys(EXPECTED).sort());
  const readme = readFileSync(join(EXAMPLES, "README.md"), "utf8");
  const listed = [...readme.matchAll(/^\|[^|]*\| \[([\w-]+\.mjs)\]\(\1\)/gm)].map(([, name]) => name);
  expect(listed.sort()).toEqual(files);
});

describe("offline", () => {
  for (const [name, { lines, absence }] of Object.entries(EXPECTED)) {
    needs(absence).it(name, async () => {
      const { code, stdout, stderr } = await runNode(`examples/${name}`);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expectLines(stdout, lines);
      expect(stdout).toMatch(/✓ no session is left/i);
    });
  }
});

describe("--cloud", () => {
  let emulator: Emulator;
  beforeAll(async () => {
    emulator = await Emulator.start();
  });
  afterAll(() => emulator.close());

  it.each(["sessions.mjs", "recovery.mjs"])("%s uses the service that the environment names", async (name) => {
    const { code, stdout, stderr } = await runNode(`examples/${name}`, ["--cloud"], emulator.env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expectLines(stdout, [/on the real service$/, ...(EXPECTED[name]?.lines ?? [])]);
    expect(emulator.sessions().length).toBeGreaterThan(0);
    emulator.expectNoLiveSessions();
  });

  it("says that it needs a key, and sends nothing", async () => {
    emulator.clearJournal();
    const { code, stdout, stderr } = await runNode("examples/sessions.mjs", ["--cloud"], {
      AGB_ENDPOINT: emulator.url,
    });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("AGB_API_KEY");
    expect(emulator.journal()).toEqual([]);
  });
});
