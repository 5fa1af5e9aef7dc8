// What the tests of this run do: create their part of the sessions, and forget them.
const { AGB } = require("agbcloud-native");

/** Creates the sessions of one of two test files. */
module.exports = async function leave(file) {
  const { EXIT_SESSIONS, EXIT_LABEL, EXIT_RELEASED, EXIT_TIMEOUT_MS } = process.env;
  const agb = new AGB({ releaseOnExit: EXIT_RELEASED === "yes" && { timeoutMs: Number(EXIT_TIMEOUT_MS) } });
  const all = Number(EXIT_SESSIONS);
  const own = file === 1 ? Math.ceil(all / 2) : Math.floor(all / 2);
  for (let number = 0; number < own; number += 1) {
    const { success, errorMessage } = await agb.create({
      imageId: "agb-code-space-1",
      labels: { exit: EXIT_LABEL },
    });
    if (!success) throw new Error(errorMessage);
  }
  // Of the copy of the process object that tests see; nobody calls it.
  process.on("SIGTERM", () => undefined);
};
