"use strict";

/** @type {import("jest").Config} */
module.exports = {
  testMatch: ["<rootDir>/__test__/**/*.spec.ts"],
  testEnvironment: "node",
  // Specs import the package by its name, as users do.
  moduleNameMapper: { "^agbcloud-native$": "<rootDir>/index.js" },
  // Types are checked by tsc, once for all specs; here they are only removed.
  transform: { "\\.ts$": ["ts-jest", { tsconfig: "<rootDir>/__test__/tsconfig.json", diagnostics: false }] },
  // Other people's packages and built things hold tests and package names of their own.
  modulePathIgnorePatterns: ["<rootDir>/.cache", "<rootDir>/target", "<rootDir>/__test__/fixtures"],
  // Far more than any test needs, and more than support/processes.ts gives a program, whose output says why it hangs.
  testTimeout: 150_000,
  // Most of the work is done by other threads and processes, and much of the time is spent waiting.
  maxWorkers: 3,
  // By default workers are killed half a second after they were told to end, which is little on a busy machine.
  workerGracefulExitTimeout: 20_000,
  // And a process that has not ended after one second counts as one in which a test left something running.
  openHandlesTimeout: 10_000,
};
