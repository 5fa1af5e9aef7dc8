/** Members of the surface that come with a later version: each use fails by name, before a request is sent. */

import { AGBError, type Session, VERSION } from "agbcloud-native";
import { CODE_IMAGE, useEmulator } from "./support/emulator";

const spec = useEmulator();

/** What the use of a member says. */
function saying(member: string): RegExp {
  return new RegExp(
    `${member.replaceAll(".", "\\.")} is not available yet in version ${VERSION.replaceAll(".", "\\.")}`,
  );
}

/** Uses a member as a caller would: reads it, and calls it when that works. */
async function use(target: object, name: string): Promise<unknown> {
  const member = (target as Record<string, unknown>)[name];
  return typeof member === "function" ? member.call(target) : member;
}

const CLIENT = [
  "callMcpTool",
  "clearContext",
  "createMcpSession",
  "deleteContext",
  "deleteContextFile",
  "deleteSessionAsync",
  "describeContextFiles",
  "getAndLoadInternalContext",
  "getCdpLink",
  "getContext",
  "getContextFileDownloadUrl",
  "getContextFileUploadUrl",
  "getContextInfo",
  "getLabel",
  "getLink",
  "getMcpResource",
  "getMcpSession",
  "getSessionDetail",
  "initBrowser",
  "listContexts",
  "listMcpTools",
  "listSessions",
  "modifyContext",
  "refreshSessionIdleTime",
  "releaseMcpSession",
  "setLabel",
  "syncContext",
];

const MEMBERS: [string, (session: Session) => object, string[]][] = [["client", () => spec.agb.client, CLIENT]];

describe.each(MEMBERS)("%s", (path, targetOf, names) => {
  it.each(names)("%s fails by name and version, and sends nothing", async (name) => {
    const session = await spec.create();
    const requests = await spec.requestsOf(async () => {
      const error = await use(targetOf(session), name).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(AGBError);
      expect((error as AGBError).message).toMatch(saying(`${path}.${name}`));
      expect((error as AGBError).extra).toMatchObject({ kind: "Unavailable" });
    });
    expect(requests).toEqual([]);
  });

  it("can be held, printed and compared without harm", async () => {
    const target = targetOf(await spec.create());
    expect(() => JSON.stringify(target)).not.toThrow();
    expect(Object.keys(target).filter((name) => names.includes(name))).toEqual([]);
    expect({ ...target }).toBeDefined();
  });
});

it("an empty contextSync mounts nothing and is fine", async () => {
  expect(await spec.agb.create({ imageId: CODE_IMAGE, contextSync: [] })).toMatchObject({ success: true });
});
