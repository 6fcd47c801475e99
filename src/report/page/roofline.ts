// Layers between the two roofs: what the arrays could multiply, and what the HBM could bring.
import { resourceColor } from "./colors";
import { h, section, svg } from "./dom";
import { count, rate, seconds } from "./format";
import { resourceName, type Run } from "./run";

const WIDTH = 760;
const HEIGHT = 380;
const LEFT = 70;
const BOTTOM = 46;
const SUPER = ["\u2070", "\u00b9", "\u00b2", "\u00b3", "\u2074", "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"];
const power = (e: number): string => "10" + (e < 0 ? "\u207b" : "") + [...String(Math.abs(e))].map((d) => SUPER[Number(d)]).join("");

export function roofline(run: Run): HTMLElement {
  const peak = run.peakMacsPerSecond;
  const bandwidth = run.hbmBoundBytesPerSecond;
  const points = run.layers
    .filter((l) => l.macs > 0 && l.seconds > 0)
    .map((l) => ({ name: l.name, x: l.bytes > 0 ? l.macs / l.bytes : Infinity, y: l.macs / l.seconds, share: l.share, by: l.boundBy, seconds: l.seconds }));
  const traffic = run.hbmReadBytes + run.hbmWriteBytes;
  if (points.length === 0 || run.macs === 0) return section("roofline", "Roofline", h("p", {}, "No layer multiplies: there is no roofline to draw."));
  const whole = { x: traffic > 0 ? run.macs / traffic : Infinity, y: run.macs / run.seconds };
  const finite = [...points.map((p) => p.x), whole.x, peak / bandwidth].filter(Number.isFinite);
  const x0 = Math.floor(Math.log10(Math.min(...finite)) - 0.2);
  const x1 = Math.ceil(Math.log10(Math.max(...finite)) + 0.6);
  const y1 = Math.ceil(Math.log10(peak) + 0.1);
  const y0 = Math.min(y1 - 2, Math.floor(Math.log10(Math.min(...points.map((p) => p.y), whole.y))));
  const x = (v: number): number => LEFT + ((Math.min(x1 - 0.15, Math.log10(v)) - x0) / (x1 - x0)) * (WIDTH - LEFT - 14);
  const y = (v: number): number => 12 + ((y1 - Math.log10(v)) / (y1 - y0)) * (HEIGHT - BOTTOM - 12);
  const plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "Roofline: macs per second over macs per HBM byte, by layer" });
  for (let e = x0; e <= x1; ++e) {
    plot.append(svg("line", { class: "grid", x1: x(10 ** e), x2: x(10 ** e), y1: 12, y2: HEIGHT - BOTTOM }));
    if (e < x1) plot.append(svg("text", { x: x(10 ** e), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, power(e)));
  }
  for (let e = y0; e <= y1; ++e) {
    plot.append(svg("line", { class: "grid", x1: LEFT, x2: WIDTH - 14, y1: y(10 ** e), y2: y(10 ** e) }));
    plot.append(svg("text", { x: LEFT - 8, y: y(10 ** e) + 4, "text-anchor": "end" }, power(e)));
  }
  const ridge = peak / bandwidth;
  const left = 10 ** x0;
  const lowest = Math.max(left, 10 ** y0 / bandwidth);
  plot.append(
    svg("path", { class: "roof", d: `M${x(lowest)} ${y(lowest * bandwidth)} L${x(ridge)} ${y(peak)} L${WIDTH - 14} ${y(peak)}` }),
    svg("text", { class: "roof-name", x: WIDTH - 18, y: y(peak) - 7, "text-anchor": "end" }, `${run.precision} peak ${rate(peak, "mac")}`),
    svg("text", { class: "roof-name", x: x(Math.max(lowest * 1.5, ridge / 6)) + 8, y: y(Math.max(lowest * 1.5, ridge / 6) * bandwidth) + 16 }, `HBM bound ${rate(bandwidth, "B")}`),
    svg("text", { x: (LEFT + WIDTH) / 2, y: HEIGHT - 8, "text-anchor": "middle" }, "macs per byte of HBM traffic (right edge: none)"),
    svg("text", { x: 14, y: HEIGHT / 2, "text-anchor": "middle", transform: `rotate(-90 14 ${HEIGHT / 2})` }, "macs per second"),
  );
  for (const p of points) {
    const name = `${p.name}: ${rate(p.y, "mac")}, ${Number.isFinite(p.x) ? `${count(Math.round(p.x * 100) / 100)} macs per byte` : "no HBM traffic"}, ${seconds(p.seconds)}, bound by ${resourceName(p.by)}`;
    plot.append(svg("circle", { cx: x(p.x), cy: y(p.y), r: 3 + 22 * Math.sqrt(p.share), fill: resourceColor(p.by), class: "layer" }, svg("title", {}, name)));
  }
  const [cx, cy] = [x(whole.x), y(whole.y)];
  plot.append(
    svg("path", { class: "whole", d: `M${cx} ${cy - 9} L${cx + 9} ${cy} L${cx} ${cy + 9} L${cx - 9} ${cy} Z` }, svg("title", {}, `the whole run: ${rate(whole.y, "mac")}`)),
  );
  const kinds = [...new Set(points.map((p) => p.by))];
  const legend = h("p", { class: "legend" }, ...kinds.map((k) => h("span", {}, h("i", { class: "swatch round", style: `background:${resourceColor(k)}` }), `bound by ${resourceName(k)}`)), h("span", {}, h("i", { class: "swatch diamond" }), "the whole run"));
  return section("roofline", "Roofline", h("div", { class: "roofline" }, plot), legend, h("p", { class: "note" }, "One circle per layer that multiplies, larger with its share of the time. Far below the roof: neither the arrays nor the HBM limit the layer."));
}
