// The page, from top to bottom. Numbers first; the timeline follows when its events are unpacked.
import { advice } from "./advice";
import { chip } from "./chip";
import { onSchemeChange } from "./colors";
import { Details } from "./details";
import { h, section } from "./dom";
import { engines } from "./engines";
import { headline } from "./headline";
import { layers } from "./layers";
import { memoryChart } from "./memory";
import { type Events, type PackedTables, readPacked } from "./packed";
import { criticalPath } from "./path";
import { roofline } from "./roofline";
import { readRun, type Run } from "./run";
import { Story } from "./story";
import { Timeline } from "./timeline";
import { View } from "./view";

// What scripts and tests can look at.
interface Report {
  run: Run;
  tables?: PackedTables;
  events?: Events;
  story?: Story;
  timeline?: Timeline;
  view?: View;
  readyMs?: number;
}
declare global {
  interface Window {
    presilReport: Report;
  }
}

function timelineSection(view: View): { element: HTMLElement; place: HTMLElement } {
  const place = h("div", { id: "timeline-place" }, h("p", { class: "note" }, "Unpacking events\u2026"));
  const middle = (): number => (view.from + view.to) / 2;
  const button = (label: string, title: string, action: () => void): HTMLElement =>
    h("button", { type: "button", title, "aria-label": title, click: action }, label);
  const controls = h(
    "p",
    { class: "buttons controls" },
    button("+", "Zoom in", () => view.zoom(0.5, middle())),
    button("\u2212", "Zoom out", () => view.zoom(2, middle())),
    button("\u2190", "Earlier", () => view.pan(-0.3 * view.span)),
    button("\u2192", "Later", () => view.pan(0.3 * view.span)),
    button("All", "Show the whole run", () => view.all()),
  );
  const help = "Drag to pan; Ctrl + wheel, pinch or + and \u2212 to zoom; click an event to follow what released it. Once the timeline has the focus, the wheel zooms, arrows pan, Shift + arrows step from event to event, 0 shows all. Colours are layers.";
  const element = section("timeline", "Timeline", controls, place, h("p", { class: "note", id: "timeline-help" }, help));
  return { element, place };
}

// Whatever has colours in its attributes is drawn again when the scheme changes.
function recolored(make: () => HTMLElement): HTMLElement {
  let element = make();
  onSchemeChange(() => {
    const next = make();
    element.replaceWith(next);
    element = next;
  });
  return element;
}

async function show(): Promise<void> {
  const run = readRun();
  const report: Report = (window.presilReport = { run });
  const view = new View(Math.max(1000, run.elapsedFs));
  const { element, place } = timelineSection(view);
  const memories = h("div", {});
  const nav = ["change", "timeline", "path", "layers", "engines", "memory", "roofline", "chip"];
  const names = ["What to change", "Timeline", "Critical path", "Layers", "Engines", "Memory", "Roofline", "Chip"];
  document.getElementById("report")!.replaceChildren(
    recolored(() => headline(run)),
    h("nav", { "aria-label": "Sections" }, ...nav.map((id, k) => h("a", { href: `#${id}` }, names[k]))),
    recolored(() => advice(run)),
    element,
    recolored(() => criticalPath(run)),
    recolored(() => layers(run)),
    recolored(() => engines(run)),
    section("memory", "SBUF and PSUM over time", memories),
    recolored(() => roofline(run)),
    chip(run),
    h("footer", {}, `trace ${run.traceHash}, spec ${run.specHash}`),
  );
  await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));

  const { tables, events } = await readPacked();
  const story = new Story(run, tables, events);
  const timeline = new Timeline(run, events, story, view, (event) => details.show(event));
  const details = new Details(story, events, (event) => timeline.select(event, true));
  place.replaceChildren(timeline.element, details.element);
  const used = tables.memories.filter((m) => m.rows.length > 0);
  memories.replaceChildren(
    h("p", {}, "On the timeline\u2019s range: zoom there to zoom here. Occupied from the write of something to its last use; the pale areas on top are the many smaller ones, by kind."),
    ...used.map((m) => memoryChart(m, view)),
  );
  Object.assign(report, { tables, events, story, timeline, view, readyMs: performance.now() });
}

void show();
