#!/usr/bin/env node
"use strict";

// The command line is the native library's; this file hands over the arguments and the signals.
const { native } = require("../dist/native.js");

const emulator = new native.NativeEmulatorCli();
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => emulator.stop());

emulator.run(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
