/** The wire by hand, as far as the cases need it; `send` is a peer's way to make a request. */

const CHUNK_BYTES = 51_200;

/**
 * @param {(path: string, query: Record<string, string>, body: object) => Promise<any>} send gives the answer's JSON
 */
export async function openByHand(send) {
  const exchange = async (path, query, body) => {
    const answer = await send(path, query, body);
    if (!answer.success) throw new Error(answer.message);
    return answer;
  };
  const { data } = await exchange("/mcp/createSession", { imageId: "agb-code-space-1" }, {});
  const { sessionId } = data;
  const tool = async (name, args) => {
    const body = { args: JSON.stringify(args), sessionId, name };
    const answer = await exchange("/mcp", { autoGenSession: "false" }, body);
    if (answer.data.isError) throw new Error(answer.data.content[0].text);
    return answer.data.content[0].text;
  };
  return {
    keepAlive: () => exchange("/mcp/refreshSessionIdleTime", { sessionId }, {}),
    async writeFile(path, text) {
      const units = [...text];
      for (let at = 0; at < units.length; at += CHUNK_BYTES / 4) {
        const content = units.slice(at, at + CHUNK_BYTES / 4).join("");
        await tool("write_file", { path, content, mode: at === 0 ? "overwrite" : "append" });
      }
    },
    async readFile(path) {
      const size = Number(/^size: (\d+)$/m.exec(await tool("get_file_info", { path }))[1]);
      const pieces = [];
      for (let offset = 0; offset < size; offset += CHUNK_BYTES) {
        const length = Math.min(CHUNK_BYTES, size - offset);
        pieces.push(Buffer.from(await tool("read_file", { path, offset, length, format: "binary" }), "base64"));
      }
      return Buffer.concat(pieces).toString();
    },
    close: () => exchange("/mcp/releaseSessionAsync", {}, { sessionId }),
  };
}
