// The critical path by what it spends its time on.
import { resourceColor } from "./colors";
import { h, section } from "./dom";
import { percent, seconds } from "./format";
import { resourceName, type Run } from "./run";
import { table } from "./table";

export function criticalPath(run: Run): HTMLElement {
  const part = (kind: string): string => (kind === "rate" ? "work" : "latency");
  const strip = h("div", { class: "strip", role: "img", "aria-label": "shares of the critical path" });
  for (const row of run.path) {
    const share = row.seconds / run.seconds;
    if (share < 0.002) continue;
    const name = `${resourceName(row.resource)} ${part(row.kind)}: ${percent(share)}`;
    strip.append(h("span", { class: part(row.kind), title: name, style: `flex-grow:${share};background-color:${resourceColor(row.resource)}` }, share > 0.12 ? `${resourceName(row.resource)} ${part(row.kind)}` : ""));
  }
  return section(
    "path",
    "Critical path",
    h("p", {}, "The chain of events that decided the time, from the last result back: each start was released by the event before it. Nothing off this chain can make the run faster by itself."),
    strip,
    table(
      run.path,
      [
        { title: "resource", cell: (r) => h("span", {}, h("i", { class: "swatch", style: `background:${resourceColor(r.resource)}` }), resourceName(r.resource)), value: (r) => r.resource },
        { title: "part", cell: (r) => part(r.kind), value: (r) => r.kind },
        { title: "on the path", cell: (r) => seconds(r.seconds), value: (r) => r.seconds, numeric: true },
        { title: "share", cell: (r) => percent(r.seconds / run.seconds), value: (r) => r.seconds, numeric: true },
        { title: "twice as fast gains at most", cell: (r) => percent(r.gainMostSeconds / run.seconds), value: (r) => r.gainMostSeconds, numeric: true },
      ],
      { caption: "Where the critical path spends the run\u2019s time", sortBy: 4 },
    ),
    h("p", { class: "note" }, "Work shrinks with a faster clock or more bandwidth; latency is fixed time: results on their way, transfers starting and completing. HBM shows only in transfers that took longer than alone."),
  );
}
