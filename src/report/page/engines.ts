// What each engine did all the time: busy, or waiting for whom. Every row sums to the whole run.
import { resourceColor } from "./colors";
import { h, section } from "./dom";
import { count, percent } from "./format";
import { resourceName, type Run } from "./run";

const CAUSES: Record<string, string> = {
  table_load: "table load",
  stationary_load: "stationary load",
  port: "waits for a port of SBUF or PSUM",
  throttle: "slowed by the current ramp",
  descriptors: "descriptors",
  finished: "nothing left to do",
  idle: "no transfer in flight",
  latency: "transfers starting or completing",
};

const SHORT: Record<string, string> = { finished: "nothing left", idle: "no transfer", latency: "in flight", table_load: "table load", stationary_load: "stationary load", descriptors: "descriptors" };
const causeName = (cause: string): string => CAUSES[cause] ?? `waits for ${cause}`;

export function engines(run: Run): HTMLElement {
  const causes = [...new Set(run.engines.flatMap((e) => e.waits.map(([cause]) => cause)))];
  const wait = (engine: (typeof run.engines)[number], cause: string): number =>
    engine.waits.filter(([c]) => c === cause).reduce((sum, [, part]) => sum + part, 0);
  const rows = run.engines.map((engine) => {
    const bar = h("div", { class: "strip", role: "img", "aria-label": `${engine.name}: busy ${percent(engine.busy)}` });
    const add = (part: number, name: string, color: string, kind: string) => {
      if (part > 0.0005) bar.append(h("span", { class: kind, title: `${name}: ${percent(part)}`, style: `flex-grow:${part};background-color:${color}` }, part > 0.14 ? name : ""));
    };
    add(engine.busy, "busy", resourceColor(engine.name), "work");
    for (const [cause, part] of engine.waits) add(part, causeName(cause), resourceColor(cause), cause === "finished" || cause === "idle" ? "none" : "latency");
    const sum = engine.busy + engine.waits.reduce((total, [, part]) => total + part, 0);
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, resourceName(engine.name), h("small", {}, `${count(engine.instructions)} ${engine.name === "dma" ? "transfers" : "instructions"}`)),
      h("td", { class: "wide" }, bar),
      h("td", { class: "number" }, percent(engine.busy)),
      ...causes.map((cause) => h("td", { class: "number" }, wait(engine, cause) > 0 ? percent(wait(engine, cause)) : "")),
      h("td", { class: "number" }, percent(sum)),
    );
  });
  return section(
    "engines",
    "Engines and what they wait for",
    h(
      "div",
      { class: "table", tabindex: 0, role: "region", "aria-label": "Busy time and waits by engine" },
      h(
        "table",
        {},
        h("caption", {}, "Busy time and waits by engine and cause, as parts of the run"),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col", rowspan: 2, colspan: 2 }, "engine"),
            h("th", { scope: "col", rowspan: 2, class: "number" }, "busy"),
            h("th", { scope: "colgroup", colspan: causes.length, class: "group" }, "waits for"),
            h("th", { scope: "col", rowspan: 2, class: "number" }, "sum"),
          ),
          h("tr", {}, ...causes.map((cause) => h("th", { scope: "col", class: "number cause" }, SHORT[cause] ?? cause))),
        ),
        h("tbody", {}, ...rows),
      ),
    ),
    h("p", { class: "note" }, "A wait belongs to whoever raised the semaphore that ended it. DMA is the mean of all DMA engines."),
  );
}
