// @ts-check

/** Files: write, read, edit, look around, move and delete. */

import { AGB } from "agbcloud-native";

import { sessionOf, show, start, succeeded } from "./support/service.mjs";

const service = await start("Files");
const agb = new AGB();
const DIR = "/tmp/garden";

const session = sessionOf(await agb.create({ imageId: "agb-code-space-1" }));
try {
  const { file } = session;

  // Its parents come with it.
  succeeded(await file.createDirectory(`${DIR}/beds`));
  succeeded(await file.writeFile(`${DIR}/plan.txt`, "roses\n"));
  succeeded(await file.writeFile(`${DIR}/plan.txt`, "tulips 🌷\n", "append"));
  show("written and read", JSON.stringify(succeeded(await file.readFile(`${DIR}/plan.txt`)).content));

  const twice = await file.writeFile(`${DIR}/plan.txt`, "again", "create_new");
  show("create_new", `success ${twice.success}: ${twice.errorMessage}`);

  // Each edit replaces the first place that has its text; when one is not found, nothing is changed.
  succeeded(await file.editFile(`${DIR}/plan.txt`, [{ oldText: "roses", newText: "lilies" }]));
  show("edited", JSON.stringify(succeeded(await file.readFile(`${DIR}/plan.txt`)).content));

  const { fileInfo } = succeeded(await file.getFileInfo(`${DIR}/plan.txt`));
  show("info", `${fileInfo?.size} bytes, directory: ${fileInfo?.isDirectory}`);

  succeeded(await file.writeFile(`${DIR}/beds/north.txt`, "moss"));
  succeeded(await file.writeFile(`${DIR}/beds/south.txt`, "figs"));
  const { entries } = succeeded(await file.listDirectory(DIR));
  show(
    "listed",
    entries
      .map(({ name, type }) => `${name} (${type})`)
      .sort()
      .join(", "),
  );

  const { matches = [] } = succeeded(await file.searchFiles(DIR, "*th.txt"));
  show("found", matches.sort().join(", "));

  const { files } = succeeded(await file.readMultipleFiles(matches));
  show("read at once", Object.values(files).sort().join(" and "));

  succeeded(await file.moveFile(`${DIR}/beds/north.txt`, `${DIR}/shade.txt`));
  succeeded(await file.deleteFile(`${DIR}/beds/south.txt`));
  show("left in beds", succeeded(await file.listDirectory(`${DIR}/beds`)).entries.length);
  const gone = await file.readFile(`${DIR}/beds/south.txt`);
  show("what was deleted", `success ${gone.success}: ${gone.errorMessage}`);
} finally {
  await agb.delete(session);
}

await service.end();
