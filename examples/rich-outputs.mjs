// @ts-check

/** Rich outputs: what a program prints, what it displays in many forms, its last value, and how it failed. */

import { AGB } from "agbcloud-native";

import { sessionOf, show, start, succeeded } from "./support/service.mjs";

const service = await start("Rich outputs");
const agb = new AGB();

const PROGRAM = `
from IPython.display import display, HTML, JSON, Latex, Markdown, SVG

print("weighing the fruit")
weights = {"apple": 182, "pear": 178, "cherry": 8}

display(HTML("<table>" + "".join(f"<tr><td>{n}<td>{w} g" for n, w in weights.items()) + "</table>"))
display(Markdown("The **apple** wins."))
display(Latex(r"$\\bar{w} = \\frac{1}{n} \\sum w_i$"))
bars = "".join(f'<rect y="{20 * i}" width="{w}" height="16"/>' for i, w in enumerate(weights.values()))
display(SVG(f'<svg xmlns="http://www.w3.org/2000/svg" width="200" height="60">{bars}</svg>'))
display(JSON(weights))

sum(weights.values()) / len(weights)
`;

const session = sessionOf(await agb.create({ imageId: "agb-code-space-1" }));
try {
  const run = succeeded(await session.code.run(PROGRAM, "python"));
  show("printed", run.logs.stdout.join("").trim());
  for (const { isMainResult, text, ...forms } of run.results) {
    if (isMainResult) show("the last value", text);
    for (const [form, content] of Object.entries(forms)) show(`displayed ${form}`, shortened(content));
  }

  // An exception is a failed result with its name, its message and where it came from. The state is still there.
  const failed = await session.code.run("weights['melon']", "python");
  show("an exception", `success ${failed.success}, ${failed.error?.name}: ${failed.error?.value}`);
  const after = succeeded(await session.code.run("max(weights, key=weights.get)", "python"));
  show("the heaviest", after.results[0]?.text);
} finally {
  await agb.delete(session);
}

await service.end();

/** @param {unknown} content */
function shortened(content) {
  const text = typeof content === "string" ? content.trim() : JSON.stringify(content);
  return text.length > 60 ? `${text.slice(0, 60)}… (${text.length} characters)` : text;
}
