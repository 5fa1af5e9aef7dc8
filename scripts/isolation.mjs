/** Prints how the emulator keeps sessions apart on this machine: `namespace` or `plain`. */

import { Emulator } from "agbcloud-native";

const emulator = await Emulator.start();
console.log(emulator.isolation);
await emulator.close();
