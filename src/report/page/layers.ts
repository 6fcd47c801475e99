// The layers of the model: whose time it was.
import { hueColor, resourceColor } from "./colors";
import { h, section } from "./dom";
import { bytes, count, percent, seconds } from "./format";
import { resourceName, type Layer, type Run } from "./run";
import { table } from "./table";

export function layers(run: Run): HTMLElement {
  const most = Math.max(...run.layers.map((l) => l.share), 1e-9);
  const number = new Map<Layer, number>(run.layers.map((l, k) => [l, k]));
  return section(
    "layers",
    "Layers",
    table(
      run.layers,
      [
        { title: "#", cell: (l) => String(number.get(l)!), value: (l) => -number.get(l)!, numeric: true },
        { title: "layer", cell: (l) => h("span", { class: "name" }, h("i", { class: "swatch", style: `background:${hueColor(number.get(l)!)}` }), h("span", {}, l.name)), value: (l) => l.name },
        { title: "kind", cell: (l) => l.kind, value: (l) => l.kind },
        { title: "time", cell: (l) => seconds(l.seconds), value: (l) => l.seconds, numeric: true },
        { title: "share", cell: (l) => h("span", { class: "share" }, h("span", { class: "share-bar", style: `width:${(100 * l.share) / most}%` }), h("span", {}, percent(l.share))), value: (l) => l.share, numeric: true },
        { title: "macs", cell: (l) => count(l.macs), value: (l) => l.macs, numeric: true },
        { title: "HBM bytes", cell: (l) => bytes(l.bytes), value: (l) => l.bytes, numeric: true },
        { title: "instructions", cell: (l) => count(l.instructions), value: (l) => l.instructions, numeric: true },
        { title: "bound by", cell: (l) => h("span", {}, h("i", { class: "swatch", style: `background:${resourceColor(l.boundBy)}` }), resourceName(l.boundBy)), value: (l) => l.boundBy },
      ],
      { caption: `${run.layers.length} layers; a heading sorts`, sortBy: 3, rowsShown: 15 },
    ),
    h("p", { class: "note" }, "Each instant belongs to one layer, so the times sum to the run\u2019s; work that hides behind another layer\u2019s has little time of its own. Bound by: the resource that is busy most of the layer\u2019s time, or latency where none is busy half of it."),
  );
}
