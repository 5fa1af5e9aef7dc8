/** The desktop: through a small server that shows what goes over the wire, and on real desktops of the emulator. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import {
  AGB,
  Computer,
  CreateSessionParams,
  Emulator,
  MouseButton,
  ScreenError,
  ScrollDirection,
  type Session,
} from "agbcloud-native";

import { needs, noDesktop } from "./support/needs";

interface Call {
  tool: string;
  args: Record<string, unknown>;
}

/** Answers each tool call by what `answer` makes of it, and keeps what was called. */
async function withTools<T>(
  answer: (call: Call) => { text?: string; isError?: boolean },
  work: (computer: Computer, calls: Call[]) => Promise<T>,
  linkUrl = "",
): Promise<T> {
  const calls: Call[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString());
      const isLink = request.url?.startsWith("/link");
      const call = isLink ? { tool: body.tool, args: body.args } : { tool: body.name, args: JSON.parse(body.args) };
      calls.push(call);
      const { text, isError = false } = answer(call);
      const result = { isError, content: text === undefined ? [] : [{ type: "text", text }] };
      const envelope = { success: true, code: "ok", requestId: "r-1", httpStatusCode: 200 };
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ ...envelope, data: isLink ? { result } : result }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const agb = new AGB({ apiKey: "ako-test", config: { endpoint: `http://127.0.0.1:${port}` } });
    const session = {
      getApiKey: () => "ako-test",
      getSessionId: () => "s-1",
      getClient: () => agb.client,
      linkUrl: linkUrl && `http://127.0.0.1:${port}/link`,
      token: linkUrl && "t",
      mcpTools: [{ name: "screenshot", server: "wuying_capture", description: "", inputSchema: {}, tool: "" }],
    };
    return await work(new Computer(session), calls);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const yes = () => ({ text: "true" });

describe("over the wire", () => {
  it("every operation calls its tool with the arguments and defaults of the reference", async () => {
    await withTools(yes, async ({ mouse, keyboard, window }, calls) => {
      const results = [
        await mouse.click(1, 2),
        await mouse.click(1, 2, MouseButton.DOUBLE_LEFT),
        await mouse.move(3, 4),
        await mouse.drag(1, 2, 3, 4),
        await mouse.scroll(1, 2),
        await mouse.scroll(1, 2, ScrollDirection.LEFT, 3),
        await keyboard.type("text"),
        await keyboard.press("Enter"),
        await keyboard.press(["Ctrl", "a"], true),
        await keyboard.release("Ctrl"),
        await window.activate(7),
        await window.close(7),
        await window.maximize(7),
        await window.minimize(7),
        await window.restore(7),
        await window.resize(7, 300, 500),
        await window.fullscreen(7),
        await window.focusMode(true),
      ];
      for (const result of results) expect(result).toEqual({ requestId: "r-1", success: true, data: true });
      expect(calls).toEqual([
        { tool: "click_mouse", args: { x: 1, y: 2, button: "left" } },
        { tool: "click_mouse", args: { x: 1, y: 2, button: "double_left" } },
        { tool: "move_mouse", args: { x: 3, y: 4 } },
        { tool: "drag_mouse", args: { from_x: 1, from_y: 2, to_x: 3, to_y: 4, button: "left" } },
        { tool: "scroll", args: { x: 1, y: 2, direction: "up", amount: 1 } },
        { tool: "scroll", args: { x: 1, y: 2, direction: "left", amount: 3 } },
        { tool: "input_text", args: { text: "text" } },
        { tool: "press_keys", args: { keys: ["Enter"], hold: false } },
        { tool: "press_keys", args: { keys: ["Ctrl", "a"], hold: true } },
        { tool: "release_keys", args: { keys: ["Ctrl"] } },
        { tool: "activate_window", args: { window_id: 7 } },
        { tool: "close_window", args: { window_id: 7 } },
        { tool: "maximize_window", args: { window_id: 7 } },
        { tool: "minimize_window", args: { window_id: 7 } },
        { tool: "restore_window", args: { window_id: 7 } },
        { tool: "resize_window", args: { window_id: 7, width: 300, height: 500 } },
        { tool: "fullscreen_window", args: { window_id: 7 } },
        { tool: "focus_mode", args: { on: true } },
      ]);
    });
  });

  it("lists come as the service sent them", async () => {
    const windows = [{ window_id: 1, title: "a", child_windows: [{ window_id: 2 }] }];
    const processes = [{ pname: "xterm", pid: 3, cmdline: "xterm" }];
    const apps = [{ name: "Terminal", start_cmd: "xterm" }];
    const answers: Record<string, unknown> = {
      list_root_windows: windows,
      get_active_window: windows[0],
      start_app: processes,
      list_visible_apps: processes,
      get_installed_apps: apps,
    };
    await withTools(
      ({ tool }) => ({ text: JSON.stringify(answers[tool]) }),
      async ({ window, app }, calls) => {
        const done = { requestId: "r-1", success: true };
        expect(await window.listRootWindows()).toEqual({ ...done, windows });
        expect(await window.getActiveWindow()).toEqual({ ...done, window: windows[0] });
        expect(await app.start("xterm")).toEqual({ ...done, data: processes });
        expect(await app.start("xterm", "/tmp", "main")).toEqual({ ...done, data: processes });
        expect(await app.getVisible()).toEqual({ ...done, data: processes });
        expect(await app.listInstalled()).toEqual({ ...done, data: apps });
        expect(calls.map(({ args }) => args)).toEqual([
          { timeout_ms: 3000 },
          {},
          { start_cmd: "xterm" },
          { start_cmd: "xterm", work_directory: "/tmp", activity: "main" },
          {},
          { start_menu: true, desktop: false, ignore_system_app: true, ignore_system_apps: true },
        ]);
      },
    );
  });

  it("ends applications with an empty message where it succeeds", async () => {
    await withTools(
      () => ({}),
      async ({ app }, calls) => {
        const done = { requestId: "r-1", success: true, errorMessage: "" };
        expect(await app.stopByPname("xterm")).toEqual(done);
        expect(await app.stopByPid(7)).toEqual(done);
        expect(await app.stopByCmd("kill -9 7")).toEqual(done);
        expect(calls.map(({ args }) => args)).toEqual([{ pname: "xterm" }, { pid: 7 }, { stop_cmd: "kill -9 7" }]);
      },
    );
  });

  it("false is an answer, and anything but true and false is a failure", async () => {
    await withTools(
      () => ({ text: "False" }),
      async ({ mouse }) => {
        expect(await mouse.move(1, 1)).toEqual({ requestId: "r-1", success: true, data: false });
      },
    );
    await withTools(
      () => ({ text: "done" }),
      async ({ mouse }) => {
        expect(await mouse.move(1, 1)).toMatchObject({ requestId: "r-1", success: false, data: false });
      },
    );
  });

  it("failures have every field of their results", async () => {
    await withTools(
      () => ({ isError: true, text: "no desktop" }),
      async (computer) => {
        const { mouse, window, app, screen } = computer;
        const failure = { requestId: "r-1", success: false, errorMessage: "no desktop" };
        expect(await mouse.click(1, 1)).toEqual({ ...failure, data: false });
        expect(await mouse.getPosition()).toEqual({ ...failure, x: 0, y: 0 });
        expect(await window.listRootWindows()).toEqual({ ...failure, windows: [] });
        expect(await window.getActiveWindow()).toEqual(failure);
        expect(await app.start("xterm")).toEqual({ ...failure, data: [] });
        expect(await app.listInstalled()).toEqual({ ...failure, data: [] });
        expect(await app.stopByPid(1)).toEqual(failure);
        expect(await screen.getSize()).toEqual({ ...failure, width: 0, height: 0, dpiScalingFactor: 1 });
        expect(await screen.capture()).toEqual({ ...failure, data: undefined });
        expect(await computer.screenshot()).toEqual({ ...failure, data: undefined });
      },
    );
  });

  it("answers that can't be read are failures", async () => {
    await withTools(
      () => ({ text: "?" }),
      async ({ mouse, screen, window, app }) => {
        expect(await mouse.getPosition()).toMatchObject({ success: false, x: 0, y: 0 });
        expect(await screen.getSize()).toMatchObject({ success: false, width: 0 });
        expect((await window.listRootWindows()).errorMessage).toMatch(/^Failed to parse windows JSON: ./);
        expect((await app.start("a")).errorMessage).toMatch(/^Failed to parse processes JSON: ./);
        expect((await app.getVisible()).errorMessage).toMatch(/^Failed to parse visible apps JSON: ./);
        expect((await app.listInstalled()).errorMessage).toMatch(/^Failed to parse applications JSON: ./);
        expect(await window.getActiveWindow()).toEqual({ requestId: "r-1", success: true });
      },
    );
  });

  it("refuses what no desktop has, before anything is sent", async () => {
    await withTools(yes, async ({ mouse, keyboard, window, app, screen }, calls) => {
      const none = undefined as unknown as number;
      const refusals = [
        await mouse.click(1, 1, "thumb" as MouseButton),
        await mouse.click(Number.NaN, 1),
        await mouse.click(none, 1),
        await mouse.drag(1, 1, 2, 2, MouseButton.DOUBLE_LEFT),
        await mouse.scroll(1, 1, "in" as ScrollDirection),
        await mouse.scroll(1, 1, ScrollDirection.UP, -1),
        await keyboard.type(5 as unknown as string),
        await keyboard.press([]),
        await keyboard.press([1] as unknown as string[]),
        await window.close(1.5),
        await window.resize(1, 0, 5),
        await window.listRootWindows(-1),
        await app.start(5 as unknown as string),
        await app.stopByPid(-1),
        await app.stopByPname(5 as unknown as string),
      ];
      for (const refusal of refusals) {
        expect(refusal).toMatchObject({ requestId: "", success: false });
        expect(refusal.errorMessage).toMatch(/^Invalid |must be/);
      }
      expect(refusals[0]?.errorMessage).toBe(
        "Invalid button 'thumb'. Must be one of ['left', 'right', 'middle', 'double_left']",
      );
      await expect(screen.betaTakeScreenshot()).rejects.toThrow(ScreenError);
      expect(calls).toEqual([]);
      // null means "not given".
      expect(await mouse.click(1, 1, null as unknown as MouseButton)).toMatchObject({ success: true });
      expect(calls).toEqual([{ tool: "click_mouse", args: { x: 1, y: 1, button: "left" } }]);
    });
  });

  it("pictures come as URLs without a link and as bytes with one", async () => {
    await withTools(
      () => ({ text: "https://storage/x.png" }),
      async ({ screen }) => {
        expect(await screen.capture()).toEqual({ requestId: "r-1", success: true, data: "https://storage/x.png" });
        await expect(screen.betaTakeScreenshot()).rejects.toThrow(
          "This cloud environment does not support `betaTakeScreenshot()`. Please use `capture()` instead.",
        );
      },
    );
    const png = Buffer.from("89504e470d0a1a0a00", "hex");
    const answer = { type: "screenshot", mime_type: "image/png", data: png.toString("base64"), width: 2, height: 1 };
    await withTools(
      () => ({ text: JSON.stringify(answer) }),
      async ({ screen }, calls) => {
        const shot = await screen.betaTakeScreenshot();
        expect(shot).toMatchObject({ success: true, errorMessage: "", type: "screenshot", mimeType: "image/png" });
        expect(shot).toMatchObject({ width: 2, height: 1 });
        expect(shot.data).toBeInstanceOf(Buffer);
        expect(shot.data?.equals(png)).toBe(true);
        const error = await screen.betaTakeScreenshot("jpg").catch((reason) => reason);
        expect(error).toBeInstanceOf(ScreenError);
        expect(error.message).toBe("Screenshot data does not match expected format 'jpeg'");
        await expect(screen.betaTakeScreenshot("gif")).rejects.toThrow(
          "Invalid format: must be 'png', 'jpeg', or 'jpg'",
        );
        expect(calls).toEqual([
          { tool: "screenshot", args: { format: "png" } },
          { tool: "screenshot", args: { format: "jpeg" } },
        ]);
        const refused = await screen.capture();
        expect(refused).toMatchObject({ requestId: "", success: false, data: undefined });
        expect(refused.errorMessage).toBe(
          "This cloud environment does not support `screen.capture()`. Please use `betaTakeScreenshot()` instead.",
        );
      },
      "link",
    );
  });

  it("the deprecated members do what their successors do", async () => {
    await withTools(yes, async (computer, calls) => {
      await computer.mouseClick(1, 2);
      await computer.mouseClick(1, 2, MouseButton.RIGHT);
      await computer.keyPress("Enter");
      expect(calls).toEqual([
        { tool: "click_mouse", args: { x: 1, y: 2, button: "left" } },
        { tool: "click_mouse", args: { x: 1, y: 2, button: "right" } },
        { tool: "press_keys", args: { keys: ["Enter"], hold: false } },
      ]);
      expect(JSON.stringify(computer)).toBe('{"type":"Computer"}');
    });
  });
});

needs(noDesktop).describe("on a desktop of the emulator", () => {
  let emulator: Emulator;
  let agb: AGB;

  beforeAll(async () => {
    emulator = await Emulator.start();
    agb = new AGB({ apiKey: emulator.apiKey, config: { endpoint: emulator.url } });
  });

  afterAll(async () => {
    await emulator.close();
  });

  async function desktop(imageId: string): Promise<Session> {
    const { session, errorMessage } = await agb.create(new CreateSessionParams({ imageId }));
    if (!session) throw new Error(errorMessage);
    return session;
  }

  async function eventually(isSo: () => Promise<boolean>): Promise<void> {
    const end = Date.now() + 30_000;
    while (!(await isSo())) if (Date.now() > end) throw new Error("it did not come about within 30 s");
  }

  it("mouse, keyboard, windows and applications work together", async () => {
    const session = await desktop("agb-computer-use-ubuntu-2204");
    const { mouse, keyboard, window, app, screen } = session.computer;
    expect(await screen.getSize()).toMatchObject({ success: true, width: 1920, height: 1080, dpiScalingFactor: 1 });
    expect((await mouse.click(500, 400)).data).toBe(true);
    expect(await mouse.getPosition()).toMatchObject({ success: true, x: 500, y: 400 });

    const installed = await app.listInstalled();
    expect(installed.data.length).toBeGreaterThanOrEqual(4);
    const started = await app.start("xterm -e sh -c 'read -r line; echo \"$line\" >typed; cat'");
    expect(started.errorMessage).toBeUndefined();
    const pid = started.data[0]?.pid;
    await eventually(async () => (await window.getActiveWindow()).window?.pid === pid);
    expect((await app.getVisible()).data.map((process) => process.pid)).toEqual([pid]);

    const before = (await screen.betaTakeScreenshot()).data;
    expect((await keyboard.type("grüezi\n")).data).toBe(true);
    await eventually(async () => (await session.file.readFile("typed")).content === "grüezi\n");
    expect((await screen.betaTakeScreenshot()).data?.equals(before ?? Buffer.alloc(0))).toBe(false);
    expect((await screen.betaTakeScreenshot("jpg")).mimeType).toBe("image/jpeg");

    const id = (await window.listRootWindows(20_000)).windows[0]?.window_id ?? 0;
    expect((await window.maximize(id)).data).toBe(true);
    expect((await window.close(id)).data).toBe(true);
    expect((await window.listRootWindows(20_000)).windows).toEqual([]);
    expect(await window.activate(id)).toMatchObject({ success: false, data: false });
    await session.delete();
  });

  it("a session without a link gives pictures as URLs that anybody with the URL can load", async () => {
    const session = await desktop("agb-computer-use-1");
    expect(session.linkUrl).toBe("");
    const { data, errorMessage } = await session.computer.screen.capture();
    expect(errorMessage).toBeUndefined();
    const image = await fetch(String(data));
    expect(image.headers.get("content-type")).toBe("image/png");
    expect(
      Buffer.from(await image.arrayBuffer())
        .subarray(1, 4)
        .toString(),
    ).toBe("PNG");
    expect((await fetch(`${data}x`)).status).toBe(404);
    await session.delete();
  });
});

it("other images have no desktop and say so", async () => {
  const emulator = await Emulator.start();
  try {
    const agb = new AGB({ apiKey: emulator.apiKey, config: { endpoint: emulator.url } });
    const { session } = await agb.create(new CreateSessionParams({ imageId: "agb-code-space-1" }));
    const result = await session?.computer.mouse.click(1, 1);
    expect(result).toMatchObject({ success: false, data: false });
    expect(result?.errorMessage).toContain("click_mouse is not available in image agb-code-space-1");
  } finally {
    await emulator.close();
  }
});
