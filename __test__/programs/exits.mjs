// Ends with a session and an emulator open: nothing but a pending call may hold a program.
import { AGB, Emulator } from "agbcloud-native";

const emulator = await Emulator.start();
const agb = new AGB({ apiKey: emulator.apiKey, config: { endpoint: emulator.url } });
const { session } = await agb.create({ imageId: "agb-code-space-1" });
const { results } = await session.code.run(
  `import subprocess\nsubprocess.Popen(["sleep", "${process.argv[2]}"])\n6 * 7`,
  "python",
);
await session.command.execute(`nohup sleep ${process.argv[2]} > /dev/null 2>&1 &`, 30_000);
process.stdout.write(`${results[0].text}\n`);
