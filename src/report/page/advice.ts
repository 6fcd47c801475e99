// What to change: each resource made twice as good, what the run takes then, and the chip file that repeats it.
import { resourceColor } from "./colors";
import { h, section } from "./dom";
import { percent, seconds } from "./format";
import { partName, resourceName, type Run, type WhatIf } from "./run";
import { table } from "./table";

const predicted = (w: WhatIf): number => w.compiledSeconds || w.sameProgramSeconds;

export function chipFile(run: Run, w: WhatIf): string {
  let text = `# ${run.chip} with ${partName(w.resource, w.kind)} of ${resourceName(w.resource)} ${w.kind === "latency" ? "halved" : "doubled"}\n`;
  text += `extends = "${run.chipFile || run.chip}"\nname = "${run.chip}-${w.resource}-x2"\n`;
  let last = "";
  for (const c of w.changes) {
    if (c.section !== last) text += `\n[${c.section}]\n`;
    last = c.section;
    text += `${c.key} = ${c.after}  # was ${c.before.replaceAll('"', "")}\n`;
  }
  return text;
}

function verb(w: WhatIf): string {
  return w.kind === "latency" ? "Halve" : "Double";
}

const title = (w: WhatIf): string => `${resourceName(w.resource)}, ${partName(w.resource, w.kind)}`;

function fileBox(run: Run, w: WhatIf): HTMLElement {
  const text = chipFile(run, w);
  const copy = h("button", { type: "button", class: "copy" }, "Copy");
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    copy.textContent = "Copied";
  });
  return h("div", { class: "file" }, h("pre", {}, text), copy);
}

export function advice(run: Run): HTMLElement {
  const known = run.whatIfs.filter((w) => predicted(w) > 0).sort((a, b) => predicted(a) - predicted(b));
  const best = known[0];
  if (!best) return section("change", "What to change", h("p", {}, "No other chips were tried for this run."));
  const gain = (w: WhatIf): number => 1 - predicted(w) / run.seconds;
  const atMost = (w: WhatIf): number | undefined => {
    if (w.kind === "size") return undefined;
    const row = run.path.find((p) => p.resource === w.resource && p.kind === w.kind);
    return (row?.gainMostSeconds ?? 0) / run.seconds;
  };
  const box = h("div", { class: "chosen", "aria-live": "polite" });
  const show = (w: WhatIf): void => {
    box.replaceChildren(
      h("p", {}, "To check it, save this as ", h("code", {}, "faster.toml"), " and run the same model with ", h("code", {}, "--chip faster.toml"), ":"),
      fileBox(run, w),
    );
  };
  show(best);
  const line = (w: WhatIf, start = verb(w)): HTMLElement =>
    h(
      "span",
      {},
      `${start} the ${partName(w.resource, w.kind)} of the `,
      h("strong", {}, resourceName(w.resource)),
      `: ${seconds(run.seconds)} becomes ${seconds(predicted(w))}, `,
      h("strong", {}, `${percent(gain(w))} less time`),
      ".",
    );
  const worthwhile = gain(best) >= 0.01;
  const other = known.find((w) => w.kind !== best.kind && gain(w) >= 0.01);
  const none = h("p", { class: "lead" }, "No single resource that is twice as good saves 1 % of the time.");
  return section(
    "change",
    "What to change",
    worthwhile ? h("p", { class: "lead", id: "recommendation", "data-resource": best.resource }, line(best)) : none,
    worthwhile && other ? h("p", {}, `The best among ${other.kind === "latency" ? "latencies" : other.kind === "rate" ? "rates" : "sizes"}: `, line(other, verb(other).toLowerCase())) : null,
    box,
    table(
      known,
      [
        { title: "twice as good", cell: (w) => h("button", { type: "button", class: "link", click: () => show(w) }, h("i", { class: "swatch", style: `background:${resourceColor(w.resource)}` }), title(w)), value: title },
        { title: "predicted gain", cell: (w) => h("strong", {}, percent(gain(w))), value: gain, numeric: true },
        { title: "predicted time", cell: (w) => seconds(predicted(w)), value: (w) => -predicted(w), numeric: true },
        { title: "same program", cell: (w) => (w.sameProgramSeconds ? percent(1 - w.sameProgramSeconds / run.seconds) : "\u2013"), value: (w) => (w.sameProgramSeconds ? 1 - w.sameProgramSeconds / run.seconds : -1), numeric: true },
        { title: "at most", cell: (w) => (atMost(w) === undefined ? "\u2013" : percent(atMost(w)!)), value: (w) => atMost(w) ?? -1, numeric: true },
        { title: "in the chip file", cell: (w) => h("span", { class: "keys" }, w.changes.map((c) => `${c.section}.${c.key}`).join(", ")) },
      ],
      { caption: "One resource at a time; choose one for its chip file", sortBy: 1, rowsShown: 8 },
    ),
    h(
      "p",
      { class: "note" },
      h("b", {}, "Predicted"),
      " is the time on the changed chip of the workload compiled for it, where that was tried, else of the same program. ",
      h("b", {}, "Same program"),
      ": the instructions of this run, timed on the changed chip. ",
      h("b", {}, "At most"),
      ": the bound from this run\u2019s critical path for the same program; compiling anew can gain more, because the compiler orders instructions differently.",
    ),
  );
}
