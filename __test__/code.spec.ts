import type { Emulator, EnhancedCodeExecutionResult, Session } from "agbcloud-native";
import { clientOf, startEmulator, useSession } from "./support/emulator";
import { withToolAnswer } from "./support/fake-service";
import { absenceOf, needs, pythonWithMatplotlib } from "./support/needs";
import { processesWith, sleepMark } from "./support/processes";
import { createSession, must } from "./support/session";
import { until } from "./support/wait";

const spec = useSession();

const python = (code: string, timeoutS?: number) => spec.session.code.run(code, "python", timeoutS);
const javascript = (code: string, timeoutS?: number) => spec.session.code.run(code, "javascript", timeoutS);
const stdout = (result: EnhancedCodeExecutionResult) => must(result).logs.stdout.join("");
const stderr = (result: EnhancedCodeExecutionResult) => result.logs.stderr.join("");
const main = (result: EnhancedCodeExecutionResult) => must(result).results.find(({ isMainResult }) => isMainResult);

describe("python", () => {
  it("keeps its state from one run to the next", async () => {
    expect(stdout(await python("x = 42\nprint('set x')"))).toBe("set x\n");
    expect(stdout(await python("print(x)"))).toBe("42\n");
    must(await python("import math\ndef area(r):\n    return math.pi * r ** 2"));
    expect(main(await python("round(area(2), 3)"))?.text).toBe("12.566");
  });

  it("gives what was printed and the last value, apart", async () => {
    const result = await python('print("Hello, enhanced world!")\n42');
    expect(result).toMatchObject({
      success: true,
      errorMessage: "",
      logs: { stdout: ["Hello, enhanced world!\n"], stderr: [] },
      results: [{ text: "42", isMainResult: true }],
      executionTime: expect.any(Number),
      executionCount: expect.any(Number),
      requestId: expect.stringMatching(/./),
    });
    expect(result.error).toBeUndefined();
    expect(Object.keys(result.results[0] ?? {}).sort()).toEqual(["isMainResult", "text"]);
  });

  it("has no main result when the last line is a statement, or None", async () => {
    expect(main(await python("print('Hello, AGB!')"))?.text ?? "None").toBe("None");
    expect((await python("y = 1")).results).toEqual([]);
  });

  it("keeps standard output and standard error apart, and whole lines together", async () => {
    const result = await python(
      'import sys\nsys.stderr.write("err-msg\\n")\nfor i in range(5):\n    print(f"line-{i}")\n"Final result"',
    );
    expect(stdout(result)).toBe("line-0\nline-1\nline-2\nline-3\nline-4\n");
    expect(stderr(result)).toBe("err-msg\n");
    expect(main(result)?.text).toContain("Final result");
    for (const chunk of result.logs.stdout) expect(chunk).toMatch(/\n$/);
  });

  it("shows what a child process and the C library print", async () => {
    expect(stdout(await python("import subprocess\nsubprocess.run(['echo', 'from a child'])\nNone"))).toContain(
      "from a child",
    );
    expect(stdout(await python("import os\nos.write(1, b'straight to 1\\n')\nNone"))).toContain("straight to 1");
  });

  it("prints text of every script, and large amounts of it", async () => {
    expect(stdout(await python("print('héllo 世界 👋')"))).toBe("héllo 世界 👋\n");
    expect(stdout(await python("print('世👋' * 100_000)"))).toBe(`${"世👋".repeat(100_000)}\n`);
  });

  it("counts runs and seconds", async () => {
    const first = must(await python("import time\ntime.sleep(0.1)"));
    const second = must(await python("1"));
    expect(first.executionTime).toBeGreaterThanOrEqual(0.1);
    expect(second.executionCount).toBeGreaterThan(first.executionCount ?? Number.NaN);
  });

  it.each([
    ["1 / 0", "ZeroDivisionError", "division by zero"],
    ["print(undefined_name)", "NameError", "name 'undefined_name' is not defined"],
    ["def foo(\n  pass", "SyntaxError", "SyntaxError"],
    ["import nonexistent_module_xyz", "ModuleNotFoundError", "No module named 'nonexistent_module_xyz'"],
    ["raise ValueError('größe 世界')", "ValueError", "größe 世界"],
  ])("says how %j failed in the interpreter's own words", async (code, name, message) => {
    const result = await python(code);
    expect(result.success).toBe(false);
    expect(result.errorMessage).toContain(name);
    expect(result.errorMessage).toContain(message);
    expect(result.error).toEqual({ name: "ExecutionError", value: result.errorMessage, traceback: "" });
    expect(result.requestId).not.toBe("");
    must(await python("'still here'"));
  });

  it("keeps what was printed before an error", async () => {
    const result = await python("print('before')\nraise RuntimeError('then')\nprint('after')");
    expect(result.success).toBe(false);
    expect(result.logs.stdout.join("")).toBe("before\n");
  });

  it("survives sys.exit", async () => {
    must(await python("kept = 'kept'"));
    await python("import sys\nsys.exit(3)");
    expect(main(await python("kept"))?.text).toContain("kept");
  });

  it("reads an empty standard input", async () => {
    expect((await python("input()", 20)).errorMessage).toContain("EOF");
  });
});

describe("rich results", () => {
  it("displays objects in every form they have, in order, before the main result", async () => {
    const result = must(
      await python(`
def rich(method, value):
    return type("Rich", (), {method: lambda self: value, "__repr__": lambda self: "a rich object"})()

display(rich("_repr_html_", "<h1>Hello HTML</h1>"))
display(rich("_repr_markdown_", "# Hello Markdown"))
display(rich("_repr_latex_", r"\\frac{1}{2}"))
display(rich("_repr_svg_", "<svg/>"))
display(rich("_repr_json_", {"b": 1, "a": [2]}))
display(rich("_repr_png_", b"\\x89PNG-bytes"))
display(rich("_repr_jpeg_", b"\\xff\\xd8-bytes"))
rich("_repr_html_", "<b>last</b>")
`),
    );
    const text = "a rich object";
    expect(result.results).toEqual([
      { text, html: "<h1>Hello HTML</h1>", isMainResult: false },
      { text, markdown: "# Hello Markdown", isMainResult: false },
      { text, latex: "\\frac{1}{2}", isMainResult: false },
      { text, svg: "<svg/>", isMainResult: false },
      { text, json: { b: 1, a: [2] }, isMainResult: false },
      { text, png: Buffer.from("\x89PNG-bytes", "latin1").toString("base64"), isMainResult: false },
      { text, jpeg: Buffer.from("\xff\xd8-bytes", "latin1").toString("base64"), isMainResult: false },
      { text, html: "<b>last</b>", isMainResult: true },
    ]);
    expect(Object.keys(result.results[4]?.json as object)).toEqual(["b", "a"]);
  });

  it.each([
    ["HTML('<h1>Hello HTML</h1>')", "html", "<h1>Hello HTML</h1>"],
    ["Markdown('# Hello Markdown')", "markdown", "# Hello Markdown"],
    ["Latex(r'\\frac{1}{2}')", "latex", "\\frac{1}{2}"],
    ["SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')", "svg", '<svg xmlns="http://www.w3.org/2000/svg"/>'],
  ])("displays IPython's %s", async (expression, field, value) => {
    const code = `from IPython.display import display, HTML, Markdown, Latex, SVG\ndisplay(${expression})`;
    const { results } = must(await python(code));
    expect(results).toEqual([expect.objectContaining({ [field]: value, isMainResult: false })]);
  });

  it("gives a Vega-Lite chart as a chart", async () => {
    const { results } = must(
      await python(`
class Chart:
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"application/vnd.vegalite.v4+json": {"mark": "bar", "data": {"values": [{"a": 1}]}}, "text/plain": "chart"}
Chart()`),
    );
    expect(results).toEqual([
      { text: "chart", chart: { mark: "bar", data: { values: [{ a: 1 }] } }, isMainResult: true },
    ]);
  });

  it("tolerates an object whose representation fails", async () => {
    const result = await python("class Bad:\n    def _repr_html_(self): raise ValueError('no html')\nBad()");
    expect(result.results[0]?.html).toBeUndefined();
    must(await python("1"));
  });

  const interpreter = pythonWithMatplotlib();
  const matplotlib = needs(absenceOf("matplotlib", interpreter));

  matplotlib.describe("matplotlib", () => {
    let charts: Emulator;
    let chartSession: Session;
    beforeAll(async () => {
      charts = await startEmulator({ python: interpreter });
      chartSession = await createSession(clientOf(charts));
    });
    afterAll(() => charts?.close());

    it("gives a chart as PNG when it is shown", async () => {
      const code = "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])\nplt.show()\n'done'";
      // The first time it looks through the machine's fonts.
      const { results } = must(await chartSession.code.run(code, "python", 300));
      const png = results.find((result) => result.png)?.png ?? "";
      expect(Buffer.from(png, "base64").subarray(1, 4).toString()).toBe("PNG");
      expect(results.at(-1)).toMatchObject({ text: expect.stringContaining("done"), isMainResult: true });
    });

    it("saves charts to files and to memory", async () => {
      const saved = `
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt, io
plt.figure(); plt.plot([1, 2])
plt.savefig("/tmp/test_plot-${process.pid}.png")
print("plot-saved")
out = io.StringIO(); plt.savefig(out, format="svg"); print(out.getvalue())`;
      const printed = stdout(await chartSession.code.run(saved, "python"));
      expect(printed).toContain("plot-saved");
      expect(printed).toContain("svg");
      const { content } = must(
        await chartSession.file.readFile(`/tmp/test_plot-${process.pid}.png`, { format: "bytes" }),
      );
      expect(content.subarray(1, 4).toString()).toBe("PNG");
    });
  });
});

describe("javascript", () => {
  it("keeps its state, and lets names be declared again", async () => {
    must(await javascript("const x = 40; let y = 1; function f() { return x + y; } class K { v = 7 }"));
    expect(main(await javascript("f()"))?.text).toBe("41");
    expect(main(await javascript("const x = 2; x * new K().v"))?.text).toBe("14");
    expect(main(await javascript("x"))?.text).toBe("2");
  });

  it("gives what was printed and the last value, apart", async () => {
    const result = await javascript(
      "console.log('out'); console.error('err'); const data = { value: 21 }; data.value * 2;",
    );
    expect(result).toMatchObject({
      success: true,
      logs: { stdout: ["out\n"], stderr: ["err\n"] },
      results: [{ text: "42", isMainResult: true }],
      errorMessage: "",
    });
  });

  it("has no result after a statement or undefined", async () => {
    expect((await javascript("let z = 1;")).results).toEqual([]);
    expect((await javascript("console.log('only printed')")).results).toEqual([]);
  });

  it("awaits promises at the top level and uses Node's modules", async () => {
    const result = await javascript(
      "const { writeFile, readFile } = require('node:fs/promises');\n" +
        `const path = '/tmp/js-${process.pid}.txt'; await writeFile(path, 'wörld');` +
        "(await readFile(path, 'utf8')).toUpperCase()",
    );
    expect(main(result)?.text).toContain("WÖRLD");
  });

  it.each([
    ["undefinedName", "ReferenceError", "undefinedName is not defined"],
    ["null.property", "TypeError", "Cannot read properties of null"],
    ["let = = 3", "SyntaxError", "Unexpected token"],
    ["throw new RangeError('größe')", "RangeError", "größe"],
    ["await Promise.reject(new Error('rejected'))", "Error", "rejected"],
    ["require('nonexistent-module-xyz')", "Error", "Cannot find module 'nonexistent-module-xyz'"],
  ])("says how %j failed in the interpreter's own words", async (code, name, message) => {
    const result = await javascript(code);
    expect(result.success).toBe(false);
    expect(result.errorMessage).toContain(name);
    expect(result.errorMessage).toContain(message);
    expect(result.error).toEqual({ name: "ExecutionError", value: result.errorMessage, traceback: "" });
    must(await javascript("1"));
  });

  it("survives an unhandled rejection and a throwing timer", async () => {
    must(
      await javascript(
        "var kept = 5; Promise.reject(new Error('late')); setTimeout(() => { throw new Error('later') }, 0); 1",
      ),
    );
    must(await javascript("await new Promise((resolve) => setTimeout(resolve, 20))"));
    expect(main(await javascript("kept"))?.text).toBe("5");
  });
});

describe("languages", () => {
  it.each(["python", "PYTHON", "py", "Python3", " python "])("%j is Python", async (language) => {
    const result = await spec.session.code.run("import sys; sys.version_info.major", language);
    expect(main(result)?.text).toBe("3");
  });

  it.each(["javascript", "JavaScript", "js", "NODE", "nodejs"])("%j is JavaScript", async (language) => {
    expect(main(await spec.session.code.run("typeof process.version", language))?.text).toContain("string");
  });

  it("keeps the state of each language to itself, under each of its names", async () => {
    must(await spec.session.code.run("v = 'py'", "py"));
    must(await spec.session.code.run("var v = 'js'", "node"));
    expect(main(await python("v"))?.text).toContain("py");
    expect(main(await javascript("v"))?.text).toContain("js");
  });

  it.each(["bash", "Ruby", ""])("refuses %j and sends nothing", async (language) => {
    spec.emulator.clearJournal();
    expect(await spec.session.code.run("x", language)).toEqual({
      requestId: "",
      success: false,
      executionTime: 0,
      logs: { stdout: [], stderr: [] },
      results: [],
      errorMessage: `Unsupported language: ${language}. Supported: java, javascript, python, r`,
    });
    expect(spec.emulator.journal()).toEqual([]);
  });
});

describe.each(["python", "javascript"])("%s", (language) => {
  it.each(["", "  \n\t\n"])("refuses empty code: %j", async (code) => {
    const result = await spec.session.code.run(code, language);
    expect(result.success).toBe(false);
    expect(result.errorMessage).not.toBe("");
  });

  it("runs a mere comment, which gives nothing", async () => {
    const result = await spec.session.code.run(
      language === "python" ? "# Just a comment" : "// Just a comment",
      language,
    );
    expect(result).toMatchObject({ success: true, results: [], errorMessage: "" });
    expect(result.logs.stdout.join("") + result.logs.stderr.join("")).toBe("");
  });

  it("interrupts what takes too long, says so, and keeps output and state", async () => {
    must(await spec.session.code.run(language === "python" ? "kept = 'kept'" : "var kept = 'kept'", language));
    const endless =
      language === "python" ? "print('started', flush=True)\nwhile True: pass" : "console.log('started'); for (;;) {}";
    const result = await spec.session.code.run(endless, language, 3);
    expect(result.success).toBe(false);
    expect(result.errorMessage).toContain("Execution timeout after 3 s");
    expect(result.errorMessage).not.toMatch(/state/i);
    expect(result.logs.stdout).toEqual(["started\n"]);
    expect(main(await spec.session.code.run("kept", language))?.text).toContain("kept");
  });

  it("interrupts what sleeps too long", async () => {
    must(await spec.session.code.run(language === "python" ? "import time; kept = 1" : "var kept = 1", language));
    const sleeping = language === "python" ? "time.sleep(100)" : "await new Promise((r) => setTimeout(r, 100_000))";
    expect((await spec.session.code.run(sleeping, language, 3)).errorMessage).toContain("Execution timeout after 3 s");
    expect(main(await spec.session.code.run("kept", language))?.text).toBe("1");
  });

  it("says that its interpreter died, and starts a new one for the next run", async () => {
    must(await spec.session.code.run(language === "python" ? "gone = 1" : "var gone = 1", language));
    const dying =
      language === "python" ? "import os; os._exit(3)" : "process.kill(process.pid, 'SIGKILL'); for (;;) {}";
    const result = await spec.session.code.run(dying, language);
    expect(result.success).toBe(false);
    expect(result.errorMessage).toMatch(/state/i);
    const next = await spec.session.code.run("gone", language);
    expect(next.success).toBe(false);
    expect(next.errorMessage).toContain("is not defined");
  });
});

it("kills a program that ignores its interruption, and says that its state is lost", async () => {
  must(await python("kept = 1"));
  const stubborn = await python(
    "import time\nwhile True:\n    try:\n        time.sleep(60)\n    except BaseException:\n        pass",
    3,
  );
  expect(stubborn.success).toBe(false);
  expect(stubborn.errorMessage).toContain("Execution timeout after 3 s");
  expect(stubborn.errorMessage).toMatch(/state.*lost|lost.*state/i);
  expect((await python("kept")).errorMessage).toContain("name 'kept' is not defined");
});

describe("a signal", () => {
  it("aborted before means that nothing is sent, and one that is none is refused", async () => {
    spec.emulator.clearJournal();
    const reason = new Error("before");
    for (const streamBeta of [false, true]) {
      const run = spec.session.code.run("1", "python", 60, { streamBeta, signal: AbortSignal.abort(reason) });
      await expect(run).rejects.toBe(reason);
      const refused = await spec.session.code.run("1", "python", 60, { streamBeta, signal: "x" as never });
      expect(refused).toMatchObject({ success: false, errorMessage: "signal must be an AbortSignal, got string" });
    }
    expect(spec.emulator.journal()).toEqual([]);
  });

  it.each([false, true])("ends the wait with its reason, with streamBeta: %p", async (streamBeta) => {
    const controller = new AbortController();
    const removed = jest.spyOn(controller.signal, "removeEventListener");
    const reason = { why: "during" };
    const mark = sleepMark();
    const code = `import subprocess; subprocess.run(["sleep", "${mark}"])`;
    const run = spec.session.code.run(code, "python", 60, { streamBeta, signal: controller.signal });
    const rejected = expect(run).rejects.toBe(reason);
    await until("the program runs", () => processesWith(mark).length > 0);
    controller.abort(reason);
    await rejected;
    expect(removed).toHaveBeenCalledWith("abort", expect.any(Function));
  });

  it.each([false, true])("aborted after the end changes nothing, with streamBeta: %p", async (streamBeta) => {
    const controller = new AbortController();
    const options = { streamBeta, signal: controller.signal };
    const result = await spec.session.code.run("print(1)", "python", 60, options);
    controller.abort();
    expect(stdout(result)).toBe("1\n");
  });
});

it("ends what a killed program had started", async () => {
  const mark = sleepMark();
  const stubborn = `
import subprocess, time
subprocess.Popen(["sleep", "${mark}"])
print("started", flush=True)
while True:
    try:
        time.sleep(60)
    except BaseException:
        pass`;
  const result = await python(stubborn, 3);
  expect(result).toMatchObject({ success: false, logs: { stdout: ["started\n"] } });
  await until("the program's child is gone", () => processesWith(mark).length === 0);
});

it("runs two hundred programs at once in ten sessions, each in its own state", async () => {
  const sessions = await Promise.all(Array.from({ length: 10 }, () => createSession(spec.agb)));
  const runs = sessions.flatMap((mine, s) =>
    Array.from({ length: 20 }, async (_, i) => {
      const code = `seen = globals().get("seen", []) + [${i}]\nprint("session ${s} run ${i}")\n${s} * 100 + ${i}`;
      return { s, i, result: await mine.code.run(code, "python") };
    }),
  );
  for (const { s, i, result } of await Promise.all(runs)) {
    expect(stdout(result)).toBe(`session ${s} run ${i}\n`);
    expect(main(result)?.text).toBe(String(s * 100 + i));
  }
  for (const mine of sessions) {
    expect(main(await mine.code.run("sorted(seen) == list(range(20))", "python"))?.text).toBe("True");
  }
  for (const { success } of await Promise.all(sessions.map((mine) => mine.delete()))) expect(success).toBe(true);
});

it("runs two languages in two sessions side by side, without one seeing the other", async () => {
  const other = await createSession(spec.agb);
  const [mine, theirs] = await Promise.all([
    python("shared = 1\nshared"),
    other.code.run("var shared = 2; shared", "js"),
  ]);
  expect(main(mine)?.text).toBe("1");
  expect(main(theirs)?.text).toBe("2");
  expect((await other.code.run("shared", "python")).errorMessage).toContain("name 'shared' is not defined");
  must(await other.delete());
});

it("fails on a deleted session, with a message and a request id", async () => {
  const gone = await createSession(spec.agb);
  must(await gone.delete());
  const result = await gone.code.run("1", "python");
  expect(result).toMatchObject({
    success: false,
    results: [],
    errorMessage: expect.stringMatching(/not found|session/i),
  });
  expect(result.requestId).not.toBe("");
});

describe("answers in other forms", () => {
  const run = (text: string) => withToolAnswer({ text }, (fake) => fake.code.run("1", "python"));

  it("gives plain text as the main result", async () => {
    expect(await run("forty-two")).toMatchObject({
      success: true,
      results: [{ text: "forty-two", isMainResult: true }],
      logs: { stdout: ["forty-two"], stderr: [] },
    });
    expect(await run("null")).toMatchObject({ success: true, results: [{ text: "null", isMainResult: true }] });
  });

  it("gives JSON of an unknown shape as it came", async () => {
    expect((await run('{"unknown": [1]}')).results).toEqual([{ text: '{"unknown": [1]}', isMainResult: true }]);
  });

  it("takes an execution error for a failure in every shape", async () => {
    for (const shape of ['{"executionError":"it broke"}', '{"result":[],"executionError":"it broke"}']) {
      expect(await run(shape)).toMatchObject({ success: false, errorMessage: "it broke" });
    }
  });

  it("takes the rich form's error for a failure", async () => {
    const error = { name: "ValueError", value: "bad", traceback: "at …" };
    expect(await run(JSON.stringify({ logs: { stdout: ["a\n"] }, results: [], error }))).toMatchObject({
      success: false,
      logs: { stdout: ["a\n"], stderr: [] },
      error,
      errorMessage: "bad",
    });
  });

  it("reads results that are encoded once, twice or not at all", async () => {
    const item = { "text/plain": "t", "text/html": "<i>t</i>", isMainResult: true };
    const result = [item, JSON.stringify(item), JSON.stringify(JSON.stringify(item)), "42", 7, null];
    expect((await run(JSON.stringify({ result, stdout: "one text", stderr: [] }))).results).toEqual([
      ...Array(3).fill({ text: "t", html: "<i>t</i>", isMainResult: true }),
      { text: "42", isMainResult: false },
      { text: "7", isMainResult: false },
      { text: "null", isMainResult: false },
    ]);
  });

  it("says that nothing came", async () => {
    expect(await run("")).toMatchObject({ success: false, errorMessage: "No data returned", requestId: "r-ok" });
  });
});
