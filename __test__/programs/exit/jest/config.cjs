// A jest run of its own, whose tests leave their sessions open.
const { join } = require("node:path");

module.exports = {
  rootDir: __dirname,
  testMatch: ["<rootDir>/*.leaves.js"],
  moduleNameMapper: { "^agbcloud-native$": join(__dirname, "..", "..", "..", "..", "index.js") },
  transform: {},
  // Jest kills a worker that has not ended half a second after it was told to; a busy machine may not let it begin. The
  // proof, whose machine is quiet and whose programs have less time for the release, leaves it at that.
  ...(Number(process.env.EXIT_TIMEOUT_MS) > 10_000 && { workerGracefulExitTimeout: 20_000 }),
};
