// Ends its main part with a call under way, which has to hold it until it is done.
import { AGB } from "agbcloud-native";

const { session } = await new AGB().create({ imageId: "agb-code-space-1" });
session.command.execute("sleep 1; echo done", 30_000).then(({ stdout }) => process.stdout.write(stdout));
process.stdout.write("main is over\n");
