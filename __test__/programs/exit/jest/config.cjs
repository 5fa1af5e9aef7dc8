// A jest run of its own, whose tests leave their sessions open.
const { join } = require("node:path");

module.exports = {
  rootDir: __dirname,
  testMatch: ["<rootDir>/*.leaves.js"],
  moduleNameMapper: { "^agbcloud-native$": join(__dirname, "..", "..", "..", "..", "index.js") },
  transform: {},
};
