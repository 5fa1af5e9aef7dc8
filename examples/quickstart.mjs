/**
 * The main job, from the first session to its end, as a timeline.
 *
 *   npm run quickstart              with the local emulator: no account, no network, a few seconds
 *   npm run quickstart -- --cloud   with the real service: needs AGB_API_KEY, waits for real
 *
 * Whatever happens, Ctrl-C included, every session it made is deleted before it ends.
 */

import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { styleText } from "node:util";

import { AGB, CreateSessionParams, Emulator, VERSION } from "agbcloud-native";

const IMAGE = "agb-code-space-1";
const IDLE_SECONDS = 60;
/** The service may take a while to notice that a session's time is up. */
const LONGEST_WAIT_SECONDS = 150;
const LOOK_EVERY_MS = 2_000;

const cloud = process.argv.includes("--cloud");
const colours = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (style, text) => (colours && styleText ? styleText(style, text) : text);

if (cloud && !process.env.AGB_API_KEY) {
  console.error("quickstart --cloud needs AGB_API_KEY, the key of your account. Without --cloud it needs nothing.");
  process.exit(2);
}

const emulator = cloud ? undefined : await Emulator.start();
const agb = emulator ? new AGB({ apiKey: emulator.apiKey, config: { endpoint: emulator.url } }) : new AGB();
/** The sessions that have to be deleted, and the creations under way, which may become such. */
const mine = new Set();
const creating = new Set();
let cleaning;
const started = Date.now();
let advanced = 0;
let stopping = false;

// A closed terminal or pipe must not end the program before it has deleted its sessions.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  // Also the second one: by default it would end the program before the sessions are gone.
  process.on(signal, async () => {
    if (stopping) return console.log("  still deleting");
    stopping = true;
    console.log(`\n${signal}: deleting what is left.`);
    await cleanUp();
    process.exit(128 + constants.signals[signal]);
  });
}

try {
  await run();
} catch (error) {
  if (!stopping) {
    console.error(`\nquickstart failed: ${error.message}`);
    process.exitCode = 1;
  }
} finally {
  await cleanUp();
}

async function run() {
  printHead();

  const session = await create();
  await python(session);
  await javascript(session);
  await shell(session);
  await files(session);

  must(await session.keepAlive(), "keepAlive");
  await tell(session, "keepAlive()", `timer back to ${IDLE_SECONDS} s, and nothing else`);
  await letGo(session);

  const late = await session.code.run("print('hello?')", "python");
  if (late.success) throw new Error("the session still runs code after its release");
  // A tool's own failure does not tell why; the status does.
  if (isReleased(await session.getStatus())) mine.delete(session);
  await tell(session, "code.run", `on a released session: success ${late.success}, “${late.errorMessage}”`);

  const other = await create();
  must(await agb.delete(other), "delete");
  mine.delete(other);
  await tell(other, "delete", "gone at once: always delete a session when you are done");

  emulator?.expectNoLiveSessions();
  console.log(`\n  ${paint("green", "✓")} No session is left.\n`);
}

async function create() {
  const params = new CreateSessionParams({
    imageId: IMAGE,
    idleReleaseTimeout: IDLE_SECONDS,
    labels: { made_by: "quickstart" },
  });
  if (stopping) throw new Error("stopped");
  const creation = agb.create(params);
  creating.add(creation);
  const { session } = must(await creation, "create");
  mine.add(session);
  creating.delete(creation);
  await tell(session, "create", `${shortId(session)} from ${IMAGE}, idle timeout ${IDLE_SECONDS} s`);
  return session;
}

async function python(session) {
  const first = must(
    await session.code.run(
      "import math\nprimes = [n for n in range(2, 30) if all(n % d for d in range(2, n))]\nprint('python counts', len(primes), 'primes')",
      "python",
    ),
    "python",
  );
  await tell(session, "python", `printed “${first.logs.stdout.join("").trim()}”`);
  const second = must(await session.code.run("math.prod(primes)", "python"), "python");
  await tell(session, "python", `its state survives: math.prod(primes) is ${second.results[0]?.text}`);
}

async function javascript(session) {
  const result = must(await session.code.run("[3, 1, 2].toSorted?.() ?? [3, 1, 2].sort()", "javascript"), "javascript");
  await tell(session, "javascript", `sorted: ${result.results[0]?.text}`);
}

async function shell(session) {
  const result = must(await session.command.execute("echo $(uname -s), $(id -un), $(pwd)", 10_000), "command");
  await tell(session, "shell", result.stdout.trim());
}

async function files(session) {
  // A name of its own: without isolation this is the host's directory.
  const path = `/tmp/note-${session.getSessionId()}.txt`;
  must(await session.file.writeFile(path, "héllo wörld 👋\n"), "writeFile");
  const read = must(await session.file.readFile(path), "readFile");
  const bytes = must(await session.command.execute(`wc -c < ${path}`, 10_000), "command");
  await tell(
    session,
    "files",
    `wrote and read “${read.content.trim()}”; the shell counts ${bytes.stdout.trim()} bytes`,
  );
}

/** Does nothing until the session is released. */
async function letGo(session) {
  if (emulator) {
    await advance(45);
    await tell(session, "…", "45 s later, nobody has called");
    await advance(20);
    await tell(session, "…", "20 s later: released, because nobody kept it alive");
    return;
  }
  console.log(
    `\n  Now waiting until the service releases the session: about ${IDLE_SECONDS} s, at most ${LONGEST_WAIT_SECONDS} s.` +
      "\n  Its status is asked meanwhile; that does not keep it alive.\n",
  );
  const since = Date.now();
  while (!isReleased(await session.getStatus())) {
    if (Date.now() - since > LONGEST_WAIT_SECONDS * 1_000) throw new Error("the service has not released the session");
    await sleep(LOOK_EVERY_MS);
  }
  await tell(session, "…", "released, because nobody kept it alive");
}

/** A look that failed says nothing of the session; only an answer that it is gone does. */
function isReleased(look) {
  return ["FINISH", "DELETING", "DELETED"].includes(look.status) || isNotFound(look);
}

function isNotFound({ code = "" }) {
  return /^Invalid(Mcp)?Session\.NotFound$/.test(code);
}

async function advance(seconds) {
  await emulator.advance(seconds * 1_000);
  advanced += seconds * 1_000;
}

/** The result of a call that has to work here. */
function must(result, what) {
  if (!result.success) throw new Error(`${what}: ${result.errorMessage || result.stderr || "failed"}`);
  return result;
}

/** Deletes what is left, once, however many ask for it. */
function cleanUp() {
  cleaning ??= deleteAll();
  return cleaning;
}

async function deleteAll() {
  for (const { value } of await Promise.allSettled(creating)) if (value?.session) mine.add(value.session);
  for (const session of mine) {
    const result = await agb.delete(session);
    if (result.success || isNotFound(result)) {
      console.log(`  deleted ${shortId(session)}`);
    } else {
      console.log(`  could not delete ${session.getSessionId()}: ${result.errorMessage}`);
      process.exitCode = 1;
    }
  }
  await emulator?.close();
}

// --------------------------------------------------------------------------------------------------------- printing

function printHead() {
  console.log(`\n${paint("bold", `agbcloud-native ${VERSION}`)} · quickstart\n`);
  if (emulator) {
    console.log(`  local emulator at ${emulator.url}; nothing leaves this machine`);
    for (const line of emulator.summary.split("\n")) console.log(`  ${line}`);
    console.log("  state and time left are the emulator's view; its clock is advanced, so minutes take moments\n");
    console.log(paint("dim", `  ${columns("clock", "state", "left", "what")}what happened`));
  } else {
    console.log(`  the service at ${agb.config.endpoint}; state is the status on the wire\n`);
    console.log(paint("dim", `  ${columns("clock", "state", "", "what")}what happened`));
  }
}

async function tell(session, what, happened) {
  const { state, left } = emulator ? emulatorView(session) : await wireView(session);
  const colour = { created: "cyan", active: "green", idle: "yellow", RUNNING: "green" }[state] ?? "red";
  const clock = `${((Date.now() - started + advanced) / 1_000).toFixed(1)} s`;
  const row = columns(clock, state, left, what);
  console.log(`  ${row.replace(state, paint(colour, state))}${happened}`);
}

function columns(clock, state, left, what) {
  return `${clock.padStart(8)}  ${state.padEnd(10)}${left.padStart(5)}  ${what.padEnd(12)}`;
}

function emulatorView(session) {
  const seen = emulator.sessions().find(({ id }) => id === session.getSessionId());
  if (!seen) return { state: "unknown", left: "" };
  return { state: seen.state, left: seen.timeLeft > 0 ? `${Math.round(seen.timeLeft)} s` : "–" };
}

async function wireView(session) {
  const { status, code } = await session.getStatus();
  return { state: status || code.split(".").pop() || "unknown", left: "" };
}

function shortId(session) {
  return `${session.getSessionId().slice(0, 16)}…`;
}
