// What lies in SBUF and PSUM over time: stacked areas of the largest tensors, on the timeline's range of time.
import { cssColor, hueColor, isDark, onSchemeChange } from "./colors";
import { h } from "./dom";
import { bytes, percent, seconds } from "./format";
import type { Residency } from "./packed";
import { table } from "./table";
import type { View } from "./view";

const LARGEST = 14;
const HEIGHT = 170;

interface Row {
  name: string;
  bytes: Float64Array;
  peak: number;
  byteSeconds: number;
  color: () => string;
}

// Muted: the many small ones of a kind together.
function smallColor(kind: string): string {
  const hue = { constant: 215, result: 30, scratch: 0, input: 130, output: 280 }[kind];
  if (hue === undefined) return hueColor(-1);
  return isDark() ? `hsl(${hue} 14% 46%)` : `hsl(${hue} 18% 70%)`;
}

function rowsOf(memory: Residency, slices: number): Row[] {
  // Pieces that the compiler cut a tensor into are one row: "weights.t3.n0" and "weights.t3.n1".
  const pieces = new Map<string, { bytes: Float64Array; count: number }>();
  for (const row of memory.rows) {
    const name = row.name.replace(/^(constant .*?)(\.[a-z]\d+)+$/, "$1");
    const whole = pieces.get(name) ?? { bytes: new Float64Array(slices), count: 0 };
    row.bytes.forEach((b, k) => (whole.bytes[row.first + k]! += b));
    ++whole.count;
    pieces.set(name, whole);
  }
  const rows = [...pieces].map(([name, { bytes: all, count }]) => ({
    name: count > 1 ? `${name}, ${count} pieces` : name,
    bytes: all,
    peak: all.reduce((a, b) => Math.max(a, b), 0),
    byteSeconds: all.reduce((a, b) => a + b, 0) * memory.sliceSeconds,
  }));
  rows.sort((a, b) => b.byteSeconds - a.byteSeconds);
  return rows.map((row, k) => ({ ...row, color: () => (k < LARGEST ? hueColor(k) : smallColor(row.name.split(" ")[0]!)) }));
}

export function memoryChart(memory: Residency, view: View): HTMLElement {
  const slices = Math.max(1, ...memory.rows.map((r) => r.first + r.bytes.length));
  const rows = rowsOf(memory, slices);
  const total = new Float64Array(slices);
  const small = new Map<string, Float64Array>(); // what is not among the largest, by its first word
  rows.forEach((row, n) => {
    const kind = row.name.split(" ")[0]!;
    const sum = small.get(kind) ?? new Float64Array(slices);
    row.bytes.forEach((b, k) => {
      total[k]! += b;
      if (n >= LARGEST) sum[k]! += b;
    });
    small.set(kind, sum);
  });
  const highest = Math.max(...total);
  const canvas = h("canvas", { role: "img", class: "memory", "aria-label": `${memory.memory} in use over time` });
  const tooltip = h("div", { class: "tooltip", hidden: true });
  const top = Math.min(memory.capacity, Math.max(highest * 1.15, memory.capacity * 0.05));
  canvas.style.height = `${HEIGHT}px`;
  let pending = false;
  let gutter = 96;

  const slice = (x: number): number => {
    const time = view.from + ((x - gutter) / (canvas.clientWidth - gutter)) * view.span;
    return Math.floor((time * 1e-15) / memory.sliceSeconds);
  };

  function draw(): void {
    pending = false;
    const width = canvas.clientWidth;
    if (width === 0) return;
    gutter = width < 600 ? 54 : 96;
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(HEIGHT * ratio);
    const g = canvas.getContext("2d")!;
    g.scale(ratio, ratio);
    const y = (b: number): number => HEIGHT - 1 - (b / top) * (HEIGHT - 12);
    const base = new Float64Array(width);
    // Largest first, from below; what is small is one grey area on top.
    const areas = rows.slice(0, LARGEST).map((r) => ({ color: r.color(), bytes: r.bytes }));
    for (const [kind, sum] of small) areas.push({ color: smallColor(kind), bytes: sum });
    for (const area of areas) {
      g.fillStyle = area.color;
      for (let x = gutter; x < width; ++x) {
        const k = slice(x + 0.5);
        const b = area.bytes[k] ?? 0;
        if (b > 0) g.fillRect(x, y(base[x]! + b), 1, y(base[x]!) - y(base[x]! + b) + 0.5);
        base[x]! += b;
      }
    }
    g.font = "11px system-ui, sans-serif";
    g.textAlign = "right";
    for (const part of [0, 0.5, 1]) {
      g.fillStyle = cssColor("--line");
      g.fillRect(gutter, Math.round(y(top * part)), width - gutter, 1);
      g.fillStyle = cssColor("--muted");
      g.fillText(bytes(top * part), gutter - 6, Math.min(HEIGHT - 2, y(top * part) + 4));
    }
  }

  const redraw = (): void => {
    if (!pending) requestAnimationFrame(draw);
    pending = true;
  };
  view.listen(redraw);
  onSchemeChange(redraw);
  new ResizeObserver(redraw).observe(canvas);

  canvas.addEventListener("pointermove", (e) => {
    const x = e.clientX - canvas.getBoundingClientRect().left;
    const k = slice(x);
    tooltip.hidden = x < gutter || k < 0 || k >= slices;
    if (tooltip.hidden) return;
    const there = rows.filter((r) => r.bytes[k]! > 0).sort((a, b) => b.bytes[k]! - a.bytes[k]!);
    const shown = there.slice(0, 8).flatMap((r) => [h("dt", {}, bytes(r.bytes[k]!)), h("dd", {}, r.name)]);
    if (there.length > 8) shown.push(h("dt", {}, "\u2026"), h("dd", {}, `${there.length - 8} more`));
    const head = `${seconds(k * memory.sliceSeconds)}: ${bytes(total[k]!)}, ${percent(total[k]! / memory.capacity)}`;
    tooltip.replaceChildren(h("strong", {}, head), h("dl", { class: "bytes" }, ...shown));
    tooltip.style.left = `${Math.max(0, Math.min(x + 14, canvas.clientWidth - tooltip.offsetWidth - 4))}px`;
    tooltip.style.top = "24px";
  });
  canvas.addEventListener("pointerleave", () => (tooltip.hidden = true));

  const list = table(
    rows,
    [
      { title: "what lies there", cell: (r) => h("span", { class: "name" }, h("i", { class: "swatch", style: `background:${r.color()}` }), h("span", {}, r.name)), value: (r) => r.name },
      { title: "most at a time", cell: (r) => bytes(r.peak), value: (r) => r.peak, numeric: true },
      { title: "bytes \u00d7 time", cell: (r) => percent(r.byteSeconds / (memory.capacity * memory.sliceSeconds * slices)), value: (r) => r.byteSeconds, numeric: true },
    ],
    { caption: `${memory.memory}: tensors and results, by how much of it they fill over the run`, sortBy: 2, rowsShown: 8 },
  );
  return h(
    "div",
    { class: "memory-chart" },
    h("h3", {}, `${memory.memory}: at most ${bytes(highest)} of ${bytes(memory.capacity)} (${percent(highest / memory.capacity)})`),
    h("div", { class: "timeline" }, canvas, tooltip),
    list,
  );
}
