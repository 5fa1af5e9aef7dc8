// @one-isolation: what is tested is the client.

/** The HTTP client: what it sends in each form, and the record of whatever comes back. */

import { inspect } from "node:util";
import { AGBError, type Config, HTTPClient, type HttpRequestOptions, type HttpResponse } from "agbcloud-native";
import { type Answer, CLOSED_ADDRESS, ok, reply, type SeenRequest, withServer } from "./support/answers";
import { useEmulator } from "./support/emulator";

const spec = useEmulator();

const KEY = "ako-spec-secret";

function clientAt(endpoint: string, timeoutMs = 60_000, key = `Bearer ${KEY}`): HTTPClient {
  return new HTTPClient(key, { endpoint, timeoutMs });
}

/** What the server sees of a request, and the record of its answer. */
async function exchange(
  options: Partial<HttpRequestOptions>,
  answer: Answer = (_, response) => reply(response, 200, ok()),
): Promise<{ request: SeenRequest; record: HttpResponse }> {
  return withServer(answer, async ({ url, requests }) => {
    const record = await clientAt(url).makeRequest({ method: "POST", endpoint: "/x", ...options });
    return { request: requests[0] as SeenRequest, record };
  });
}

/** The record of an answer of these bytes. */
async function recordOf(status: number, body: string, headers?: Record<string, string>): Promise<HttpResponse> {
  return (await exchange({}, (_, response) => reply(response, status, body, headers))).record;
}

describe("with the emulator", () => {
  it("finds a session, and says why not", async () => {
    const session = await spec.create();
    const config = { endpoint: spec.emulator.url, timeoutMs: 20_000 };
    const request = (sessionId: string) => ({
      method: "POST",
      endpoint: "/mcp/getSession",
      jsonData: { sessionId },
    });
    for (const key of [spec.emulator.apiKey, `Bearer ${spec.emulator.apiKey}`]) {
      const found = await new HTTPClient(key, config).makeRequest(request(session.getSessionId()));
      expect(found).toMatchObject({
        statusCode: 200,
        success: true,
        url: `${spec.emulator.url}/mcp/getSession`,
        json: { success: true, data: { sessionId: session.getSessionId(), status: "RUNNING" } },
        requestId: spec.emulator.journal().at(-1)?.requestId,
      });
      expect(found.headers["content-type"]).toMatch(/json/);
    }

    const client = new HTTPClient(spec.emulator.apiKey, config);
    const gone = await client.makeRequest(request("s-unknown"));
    expect(gone).toMatchObject({
      statusCode: 400,
      success: false,
      json: { success: false, code: "InvalidMcpSession.NotFound" },
    });
    const wrong = await new HTTPClient("ako-wrong", config).makeRequest(request("s"));
    expect(wrong).toMatchObject({ statusCode: 401, success: false, json: { code: "AccessDenied" } });
    const none = await new HTTPClient(undefined, config).makeRequest(request("s"));
    expect(none).toMatchObject({ statusCode: 401, success: false });
  });
});

describe("a request", () => {
  it("has the headers of every request, and a body of no bytes where there is none", async () => {
    const { request, record } = await exchange({});
    expect([request.method, request.path, request.body]).toEqual(["POST", "/x", ""]);
    expect(request.headers).toMatchObject({
      authorization: `Bearer ${KEY}`,
      "content-type": "application/json",
      "content-length": "0",
      accept: "application/json, text/plain, */*",
    });
    expect(record).toEqual({
      statusCode: 200,
      success: true,
      url: expect.stringMatching(/\/x$/),
      headers: expect.objectContaining({ "content-type": "application/json" }),
      json: ok(),
      requestId: "r-ok",
    });
    expect([record.attempts, record.retryable]).toEqual([1, false]);
  });

  it.each(["get", "GET", "POST", "put", "PATCH", "DELETE", "OPTIONS"])("may be a %s", async (method) => {
    const { request, record } = await exchange({ method });
    expect([request.method, record.statusCode]).toEqual([method.toUpperCase(), 200]);
  });

  it("of HEAD has no body in its answer", async () => {
    const { record } = await exchange({ method: "HEAD" });
    expect([record.statusCode, record.json, record.text]).toEqual([200, null, ""]);
  });

  it("goes below the path of the endpoint, with one slash between", async () => {
    await withServer(
      (_, response) => reply(response, 200, ok()),
      async ({ url, requests }) => {
        for (const [base, path] of [
          [`${url}/pre/`, "/a"],
          [`${url}/pre`, "a"],
          [`${url}/pre/`, "//a"],
        ] as const) {
          const record = await clientAt(base).makeRequest({ method: "GET", endpoint: path });
          expect(record.url).toBe(`${url}/pre/a`);
        }
        expect(requests.map(({ path }) => path)).toEqual(["/pre/a", "/pre/a", "/pre/a"]);
      },
    );
  });

  it("has its parameters as a form, without those that are absent", async () => {
    const params = {
      "a b": "x&=+ü/?#%",
      plain: "-_.!~*'():$,",
      empty: "",
      zero: 0,
      big: 1e21,
      flag: false,
      absent: undefined,
      nothing: null,
      json: { a: [1] },
      list: ["x", 1],
    };
    const { request, record } = await exchange({ method: "GET", endpoint: "/x?first=1", params });
    expect([...request.query]).toEqual([
      ["first", "1"],
      ["a b", "x&=+ü/?#%"],
      ["plain", "-_.!~*'():$,"],
      ["empty", ""],
      ["zero", "0"],
      ["big", "1e+21"],
      ["flag", "false"],
      ["json", '{"a":[1]}'],
      ["list", '["x",1]'],
    ]);
    expect(record.url).toContain("?first=1&a+b=x%26%3D%2B%C3%BC%2F%3F%23%25&plain=-_.!~*'():$,&empty=&zero=0");
  });

  it("has headers of its own, which replace the others in any spelling", async () => {
    const headers = {
      "X-Mine": "yes",
      "CONTENT-TYPE": "text/plain",
      Authorization: "Basic dTpw",
      "Content-Length": "99",
      "X-None": undefined as never,
    };
    const { request } = await exchange({ headers, data: "four" });
    expect(request.headers).toMatchObject({
      "x-mine": "yes",
      "content-type": "text/plain",
      authorization: "Basic dTpw",
      "content-length": "4",
    });
    expect(request.headers).not.toHaveProperty("x-none");
  });

  it.each([
    ["JSON", { jsonData: { z: "ü", a: [1, null], gone: undefined } }, '{"z":"ü","a":[1,null]}'],
    ["empty JSON", { jsonData: {} }, "{}"],
    ["JSON rather than data", { jsonData: { a: 1 }, data: "b" }, '{"a":1}'],
    ["text", { data: "plain ü" }, "plain ü"],
    ["empty text", { data: "" }, ""],
    ["bytes", { data: Buffer.from("bytes ü") }, "bytes ü"],
    ["a part of a buffer", { data: new Uint8Array(Buffer.from("abcdef")).subarray(2, 4) }, "cd"],
    ["a form", { data: new URLSearchParams({ a: "b c" }) }, "a=b+c"],
    ["an object", { data: { a: 1 } }, '{"a":1}'],
    ["a number", { data: 0 }, "0"],
    ["null", { data: null, jsonData: null as never }, ""],
  ])("has %s as its body", async (_, options, body) => {
    const { request } = await exchange(options as Partial<HttpRequestOptions>);
    expect([request.body, request.headers["content-length"]]).toEqual([body, String(Buffer.byteLength(body))]);
  });

  it("with bytes is a copy: what the program writes later does not go out", async () => {
    const bytes = Buffer.alloc(100_000, "a");
    await withServer(
      (_, response) => reply(response, 200, ok()),
      async ({ url, requests }) => {
        const sent = clientAt(url).makeRequest({ method: "POST", endpoint: "x", data: bytes });
        bytes.fill("b");
        await sent;
        expect(requests[0]?.body).toBe("a".repeat(100_000));
      },
    );
  });

  it("that can't be sent rejects by name, and nothing is sent", async () => {
    const loop: Record<string, unknown> = {};
    loop.loop = loop;
    await withServer(
      (_, response) => reply(response, 200, ok()),
      async ({ url, requests }) => {
        const client = clientAt(url);
        const refused: [unknown, RegExp][] = [
          [undefined, /method/],
          [{ endpoint: "/x" }, /method/],
          [{ method: "GET" }, /endpoint/],
          [{ method: "FETCH ME", endpoint: "/x" }, /FETCH ME/],
          [{ method: "GET", endpoint: "/x", headers: "a: b" }, /headers/],
          [{ method: "GET", endpoint: "/x", params: ["a"] }, /params/],
          [{ method: "GET", endpoint: "/x", headers: { "a b": "c" } }, /a b/],
          [{ method: "GET", endpoint: "/x", headers: { "x-mine": "a\nb-secret" } }, /x-mine/],
          [{ method: "POST", endpoint: "/x", jsonData: loop }, /circular|JSON/],
          [{ method: "POST", endpoint: "/x", data: 1n }, /BigInt|JSON/],
        ];
        for (const [options, message] of refused) {
          const error = await client.makeRequest(options as never).catch((thrown: unknown) => thrown);
          expect(error).toBeInstanceOf(AGBError);
          expect(error).toMatchObject({ message: expect.stringMatching(message), extra: { kind: "InvalidArgument" } });
          expect(inspect(error, { depth: 9 })).not.toContain("secret");
        }
        expect(requests).toEqual([]);
      },
    );
  });
});

describe("an answer", () => {
  it.each([
    ["an object", '{ "a": 1 }', { a: 1 }, undefined],
    ["a list", "[1, 2]", [1, 2], undefined],
    ["JSON within a text", '"{\\"a\\":1}"', { a: 1 }, undefined],
    ["a text", '"str"', null, "str"],
    ["a number", "7", null, undefined],
    ["true", "true", null, undefined],
    ["null", "null", null, undefined],
    ["markup", "<html>ü</html>", null, "<html>ü</html>"],
    ["half an object", '{"a":', null, '{"a":'],
    ["nothing", "", null, ""],
  ])("of %s is read as what it is", async (_, body, json, text) => {
    const record = await recordOf(200, body, { "Content-Type": "text/html" });
    expect([record.json, record.text]).toEqual([json, text]);
    expect(record.success).toBe(true);
  });

  it.each([
    [200, true],
    [204, true],
    [304, false],
    [302, false],
    [400, false],
    [404, false],
    [500, false],
  ])("of status %p never rejects", async (status, success) => {
    const record = await recordOf(status, "");
    expect([record.statusCode, record.success]).toEqual([status, success]);
  });

  it("takes its request id from the body, else from the header", async () => {
    const id = async (body: string) => (await recordOf(200, body, { "X-Request-Id": "h" })).requestId;
    expect([await id('{"requestId":"b"}'), await id('{"requestId":7}'), await id('{"requestId":""}')]).toEqual([
      "b",
      "h",
      "h",
    ]);
    expect(await id("oops")).toBe("h");
    expect((await recordOf(200, "{}")).requestId).toBe("");
  });

  it("keeps its headers, names in lower case", async () => {
    const { record } = await exchange({}, (_, response) => {
      response.setHeader("X-Two", ["1", "2"]);
      reply(response, 200, "{}");
    });
    expect(record.headers).toMatchObject({ "x-two": "1, 2", "content-type": "application/json" });
  });

  it("that sends us elsewhere is not followed", async () => {
    await withServer(
      (_, response) => reply(response, 200, ok()),
      async ({ url, requests }) => {
        const { record } = await exchange({}, (_, response) => reply(response, 302, "", { Location: url }));
        expect(record).toMatchObject({ statusCode: 302, success: false, json: null, requestId: "" });
        expect(record.text).toMatch(/redirect.*302/);
        expect(requests).toEqual([]);
      },
    );
  });

  it("that is no JSON and repeats the key does not show it", async () => {
    const { record } = await exchange({}, ({ headers }, response) =>
      reply(response, 500, `got ${headers.authorization}`),
    );
    expect(record.text).toBe("got Bearer ****");
    expect(inspect(record, { depth: 9 })).not.toContain(KEY);
  });
});

describe("without an answer", () => {
  it("a refused connection is a record of status 0 that says so", async () => {
    const url = CLOSED_ADDRESS;
    const record = await clientAt(url).makeRequest({ method: "POST", endpoint: "/x" });
    expect(record).toEqual({
      statusCode: 0,
      success: false,
      url: `${url}/x`,
      headers: {},
      json: null,
      text: expect.stringMatching(/could not connect to 127\.0\.0\.1:\d+/),
      requestId: "",
    });
    expect(record.attempts).toBeGreaterThan(1);
    expect([record.retryable, Object.keys(record).includes("attempts")]).toEqual([true, false]);
  });

  it("a broken connection is one, and only what is safe is sent again", async () => {
    await withServer(
      (_, response) => response.destroy(),
      async ({ url, requests }) => {
        const once = await clientAt(url).makeRequest({ method: "POST", endpoint: "/x" });
        expect([once.statusCode, once.attempts, requests.length]).toEqual([0, 1, 1]);
        const again = await clientAt(url).makeRequest({ method: "GET", endpoint: "/x" });
        expect([again.statusCode, again.attempts, requests.length]).toEqual([0, 4, 5]);
      },
    );
  });

  it.each([
    ["the configured time-out", 200, undefined],
    ["readTimeout", 60_000, 200],
  ])("the call ends with %s", async (_, timeoutMs, readTimeout) => {
    await withServer(
      () => undefined,
      async ({ url }) => {
        const client = clientAt(url, timeoutMs);
        const record = await client.makeRequest({ method: "POST", endpoint: "/x", readTimeout });
        expect([record.statusCode, record.text]).toEqual([0, expect.stringMatching(/timeout of 200ms exceeded/)]);
      },
    );
  });

  it.each([null, 0, -1, Number.NaN, Number.POSITIVE_INFINITY, "5"])("a time-out of %p is none", async (timeout) => {
    const limits = { readTimeout: timeout as never, connectTimeout: timeout as never };
    expect((await exchange(limits)).record.statusCode).toBe(200);
  });
});

describe("the client", () => {
  afterEach(() => HTTPClient.setDefaultConfig(null as never));

  it("takes the default configuration where none is given, and an explicit one first", async () => {
    expect(HTTPClient.getDefaultConfig()).toBeNull();
    await withServer(
      (_, response) => reply(response, 200, ok()),
      async ({ url, requests }) => {
        const config: Config = { endpoint: `${url}/default`, timeoutMs: 5000 };
        HTTPClient.setDefaultConfig(config);
        expect(HTTPClient.getDefaultConfig()).toBe(config);
        await new HTTPClient(KEY).makeRequest({ method: "GET", endpoint: "x" });
        await clientAt(`${url}/mine`).makeRequest({ method: "GET", endpoint: "x" });
        expect(requests.map(({ path, headers }) => [path, headers.authorization])).toEqual([
          ["/default/x", `Bearer ${KEY}`],
          ["/mine/x", `Bearer ${KEY}`],
        ]);
      },
    );
  });

  it("is not made without a configuration that can be used", () => {
    expect(() => new HTTPClient(KEY)).toThrow("No configuration provided and no default config set");
    expect(() => clientAt("")).toThrow("baseUrl cannot be empty");
    for (const endpoint of ["ftp://x", "http://user:secret@x", "a b"]) {
      expect(() => clientAt(endpoint)).toThrow(AGBError);
      expect(() => clientAt(endpoint)).not.toThrow(/secret/);
    }
    expect(() => clientAt("http://127.0.0.1:1", 0)).toThrow(/timeoutMs/);
    expect(() => new HTTPClient(7 as never, { endpoint: "x", timeoutMs: 1 })).toThrow(/apiKey/);
  });

  it("sends no authorization without a key", async () => {
    await withServer(
      (_, response) => reply(response, 200, ok()),
      async ({ url, requests }) => {
        for (const key of [undefined, null, ""]) {
          const client = new HTTPClient(key as never, { endpoint: url, timeoutMs: 5000 });
          await client.makeRequest({ method: "GET", endpoint: "x" });
        }
        expect(requests.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined, undefined]);
      },
    );
  });

  it("goes on after close(), which may be called twice", async () => {
    await withServer(
      (_, response) => reply(response, 200, ok()),
      async ({ url, requests }) => {
        const client = clientAt(url);
        for (let turn = 0; turn < 3; turn += 1) {
          expect((await client.makeRequest({ method: "POST", endpoint: "x" })).success).toBe(true);
          client.close();
          client.close();
        }
        expect(requests).toHaveLength(3);
      },
    );
  });

  it("shows no key", () => {
    const client = clientAt("http://127.0.0.1:1");
    expect(inspect(client, { depth: 9, showHidden: true }) + JSON.stringify(client)).not.toContain(KEY);
  });
});
