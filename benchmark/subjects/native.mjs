/** This package. */

import { AGB } from "../../index.js";

export async function open({ url, apiKey }) {
  const agb = new AGB({ apiKey, config: { endpoint: url } });
  const create = async () => {
    const { session, errorMessage } = await agb.create({ imageId: "agb-code-space-1" });
    if (!session) throw new Error(errorMessage);
    return session;
  };
  const session = await create();
  return {
    keepAlive: async () => checked(await session.keepAlive()),
    writeFile: async (path, text) => checked(await session.file.writeFile(path, text)),
    readFile: async (path) => checked(await session.file.readFile(path)).content,
    createAndDelete: async () => checked(await agb.delete(await create())),
    transferPath: () => session.file.transferPath(),
    upload: async (from, to) => checked(await session.file.upload(from, to)),
    close: async () => checked(await agb.delete(session)),
  };
}

function checked(result) {
  if (!result.success) throw new Error(result.errorMessage);
  return result;
}
