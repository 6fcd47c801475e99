// Engines and DMA engines over time, on a canvas: zoom, pan, hover, selection. Drawing costs work per pixel, not per
// event. The visible range is shared with whoever listens (the memory charts).
import { cssColor, hueColor, isDark, onSchemeChange, resourceColor } from "./colors";
import { h } from "./dom";
import { femtoseconds } from "./format";
import { busyUntil, eventAt, firstAfter, type Lane, makeLanes, type Track } from "./lanes";
import type { Events } from "./packed";
import type { Run } from "./run";
import type { Story } from "./story";
import { niceStep, View } from "./view";

const AXIS = 22;
const PATH = 12;
const GAP = 4;
const ENGINE = 24;
const DMA = 12;

interface Row {
  lane: Lane;
  index: number;
  top: number;
  height: number;
}

export class Timeline {
  readonly element: HTMLElement;
  readonly canvas = h("canvas", { tabindex: 0, role: "img", "aria-describedby": "timeline-help" });
  frames = 0;
  drawMs = 0; // of the last frame
  selected = -1;
  private rows: Row[] = [];
  private height = 0;
  private gutter = 96;
  private width = 0;
  private hovered = -1;
  private pending = false;
  private tooltip = h("div", { class: "tooltip", role: "tooltip", hidden: true });
  private layerColors: string[] = [];

  constructor(
    private run: Run,
    private events: Events,
    private story: Story,
    private view: View,
    private onSelect: (event: number) => void,
  ) {
    let top = AXIS + PATH + GAP;
    makeLanes(run.lanes, events).forEach((lane, index) => {
      if (lane.tracks.length === 0) return;
      const height = lane.dma ? Math.max(DMA, 3 * lane.tracks.length) : ENGINE;
      this.rows.push({ lane, index, top, height });
      top += height + (lane.dma ? 2 : GAP);
    });
    this.height = top + GAP;
    this.canvas.style.height = `${this.height}px`;
    this.canvas.setAttribute("aria-label", `Timeline of ${events.count} events over ${femtoseconds(run.elapsedFs)}`);
    this.element = h("div", { class: "timeline" }, this.canvas, this.tooltip);
    this.listen();
    this.view.listen(() => this.redraw());
    onSchemeChange(() => this.recolor());
    this.recolor();
    new ResizeObserver(() => this.resize()).observe(this.canvas);
  }

  select(event: number, reveal: boolean): void {
    this.selected = event;
    if (reveal && event >= 0) {
      const begin = this.events.start[event]!;
      const end = Math.max(this.events.until[event]!, begin + 1);
      if (begin < this.view.from || end > this.view.to) this.view.center((begin + end) / 2, (end - begin) * 8);
    }
    this.onSelect(event);
    this.redraw();
  }

  timeAt(x: number): number {
    return this.view.from + ((x - this.gutter) / (this.width - this.gutter)) * this.view.span;
  }

  // Where an event is drawn: its middle, in pixels of the canvas.
  place(event: number): { x: number; y: number } {
    const row = this.rows.find((r) => r.index === this.story.laneOf(event))!;
    const track = row.lane.tracks.findIndex((t) => t.events.includes(event));
    const middle = (this.events.start[event]! + this.events.until[event]!) / 2;
    return { x: this.x(middle), y: row.top + ((track + 0.5) * row.height) / row.lane.tracks.length };
  }

  private x(time: number): number {
    return this.gutter + ((time - this.view.from) / this.view.span) * (this.width - this.gutter);
  }

  private recolor(): void {
    this.layerColors = this.run.layers.map((_, index) => hueColor(index));
    this.redraw();
  }

  private color(event: number): string {
    return this.layerColors[this.story.layer(event)] ?? hueColor(-1);
  }

  private resize(): void {
    const ratio = devicePixelRatio || 1;
    this.width = this.canvas.clientWidth;
    this.gutter = this.width < 600 ? 54 : 96;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.draw();
  }

  private redraw(): void {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    this.pending = false;
    if (this.width === 0) return;
    const begin = performance.now();
    const g = this.canvas.getContext("2d")!;
    const ratio = devicePixelRatio || 1;
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, this.width, this.height);
    g.font = "11px system-ui, sans-serif";
    g.textBaseline = "middle";
    this.drawAxis(g);
    g.save();
    g.beginPath();
    g.rect(this.gutter, 0, this.width - this.gutter, this.height);
    g.clip();
    this.drawPath(g);
    for (const row of this.rows) this.drawRow(g, row);
    if (this.selected >= 0) this.drawSelection(g);
    g.restore();
    this.drawNames(g);
    ++this.frames;
    this.drawMs = performance.now() - begin;
  }

  private drawAxis(g: CanvasRenderingContext2D): void {
    const step = niceStep((this.view.span / (this.width - this.gutter)) * 110);
    g.textAlign = "left";
    for (let t = Math.ceil(this.view.from / step) * step; t <= this.view.to; t += step) {
      const x = Math.round(this.x(t)) + 0.5;
      g.fillStyle = cssColor("--line");
      g.fillRect(x - 0.5, AXIS - 6, 1, this.height);
      g.fillStyle = cssColor("--muted");
      g.fillText(this.view.tick(t, step), x + 3, AXIS / 2);
    }
  }

  private drawNames(g: CanvasRenderingContext2D): void {
    g.textAlign = "right";
    g.fillStyle = cssColor("--muted");
    const narrow = this.gutter < 90;
    g.fillText(narrow ? "path" : "critical path", this.gutter - 6, AXIS + PATH / 2);
    for (const row of this.rows) {
      const name = row.lane.name.replace(/^core0\./, "");
      g.fillStyle = cssColor(row.lane.dma ? "--muted" : "--ink");
      g.font = row.lane.dma ? "9.5px system-ui, sans-serif" : "12px system-ui, sans-serif";
      g.fillText(name, this.gutter - 6, row.top + row.height / 2);
    }
  }

  // Which resource the run's end depended on, instant by instant.
  private drawPath(g: CanvasRenderingContext2D): void {
    const path = this.events.path;
    const begins = (k: number): number => (k === 0 ? 0 : this.events.start[path[k]!]!);
    let low = 0;
    for (let x = this.gutter; x < this.width; ) {
      const time = this.timeAt(x + 0.5);
      let high = path.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (begins(middle) <= time) low = middle + 1;
        else high = middle;
      }
      const k = low - 1;
      if (k < 0 || time > this.run.elapsedFs) break;
      const ends = k + 1 < path.length ? begins(k + 1) : this.run.elapsedFs;
      const stop = Math.max(x + 1, Math.floor(this.x(ends)));
      const lane = this.run.lanes[this.story.laneOf(path[k]!)]!;
      g.fillStyle = resourceColor(lane.dma ? "dma" : lane.name.replace(/^.*\./, ""));
      g.fillRect(x, AXIS, stop - x, PATH - 3);
      x = stop;
    }
  }

  private drawRow(g: CanvasRenderingContext2D, row: Row): void {
    const height = row.height / row.lane.tracks.length;
    g.fillStyle = cssColor("--lane");
    g.fillRect(this.gutter, row.top, this.width - this.gutter, row.height);
    row.lane.tracks.forEach((track, k) => {
      const gap = height > 5 && row.lane.tracks.length > 1 ? 1 : 0;
      this.drawTrack(g, track, row.top + k * height, height - gap);
    });
  }

  private drawTrack(g: CanvasRenderingContext2D, track: Track, top: number, height: number): void {
    const first = firstAfter(track, this.events, this.view.from);
    const last = firstAfter(track, this.events, this.view.to, first);
    if (last - first < (this.width - this.gutter) / 3) this.drawEvents(g, track, first, last, top, height);
    else this.drawDensity(g, track, first, top, height);
    g.globalAlpha = 1;
  }

  private drawEvents(g: CanvasRenderingContext2D, track: Track, first: number, last: number, top: number, height: number) {
    for (let k = first; k <= last && k < track.events.length; ++k) {
      const event = track.events[k]!;
      const x = Math.max(this.gutter - 2, this.x(this.events.start[event]!));
      const end = Math.min(this.width + 2, this.x(this.events.until[event]!));
      const width = Math.max(0.75, end - x - (end - x > 4 ? 0.75 : 0));
      g.fillStyle = this.color(event);
      g.globalAlpha = event === this.hovered ? 0.7 : 1;
      g.fillRect(x, top, width, height);
      if (width > 46 && height > 14) this.label(g, event, x, top, width, height);
    }
  }

  private label(g: CanvasRenderingContext2D, event: number, x: number, top: number, width: number, height: number) {
    g.save();
    g.beginPath();
    g.rect(x, top, width - 3, height);
    g.clip();
    g.globalAlpha = 1;
    g.textAlign = "left";
    g.fillStyle = isDark() ? "#10151b" : "#fff";
    g.fillText(this.story.name(event), Math.max(x, this.gutter) + 4, top + height / 2 + 0.5);
    g.restore();
  }

  // More events than pixels: how much of each pixel is busy, in the colour of an event in it.
  private drawDensity(g: CanvasRenderingContext2D, track: Track, first: number, top: number, height: number): void {
    const perPixel = this.view.span / (this.width - this.gutter);
    let k = first;
    let before = busyUntil(track, this.events, this.view.from, k);
    let color = "";
    for (let x = this.gutter; x < this.width; ++x) {
      const time = this.view.from + (x + 1 - this.gutter) * perPixel;
      const event = track.events[k];
      k = firstAfter(track, this.events, time, k);
      const busy = busyUntil(track, this.events, time, k);
      const part = (busy - before) / perPixel;
      before = busy;
      if (part <= 0.002 || event === undefined) continue;
      const next = this.color(event);
      if (next !== color) g.fillStyle = color = next;
      g.globalAlpha = 0.15 + 0.85 * Math.min(1, part);
      g.fillRect(x, top, 1, height);
    }
  }

  // The event and the chain of causes before it, as far as it is in view.
  private drawSelection(g: CanvasRenderingContext2D): void {
    g.strokeStyle = cssColor("--ink");
    g.fillStyle = cssColor("--ink");
    const at = this.selected;
    const row = this.rows.find((r) => r.index === this.story.laneOf(at))!;
    const x = this.x(this.events.start[at]!);
    g.lineWidth = 2;
    g.strokeRect(x - 1, row.top - 1, Math.max(2, this.x(this.events.until[at]!) - x) + 2, row.height + 2);
    g.lineWidth = 1.25;
    let event = at;
    for (let k = 0; k < 12 && this.events.cause[event]! >= 0; ++k) {
      const cause = this.events.cause[event]!;
      this.drawArrow(g, cause, event, 1 - k / 13);
      event = cause;
    }
    g.globalAlpha = 1;
  }

  private drawArrow(g: CanvasRenderingContext2D, from: number, to: number, alpha: number): void {
    const a = this.rows.find((r) => r.index === this.story.laneOf(from))!;
    const b = this.rows.find((r) => r.index === this.story.laneOf(to))!;
    const x0 = this.x(Math.min(this.events.end[from]!, this.events.start[to]!));
    const x1 = this.x(this.events.start[to]!);
    if (x1 < this.gutter - 50 || x0 > this.width + 50) return;
    const [y0, y1] = [a.top + a.height / 2, b.top + b.height / 2];
    g.globalAlpha = alpha;
    g.beginPath();
    g.moveTo(x0, y0);
    g.bezierCurveTo(x0 + 12, y0, x1 - 16, y1, x1, y1);
    g.stroke();
    g.beginPath();
    g.moveTo(x1, y1);
    g.lineTo(x1 - 6, y1 - 3.5);
    g.lineTo(x1 - 6, y1 + 3.5);
    g.fill();
  }

  private hit(x: number, y: number): number {
    const row = this.rows.find((r) => y >= r.top - 1 && y <= r.top + r.height + 1);
    if (x < this.gutter) return -1;
    if (row) {
      const tolerance = (this.view.span / (this.width - this.gutter)) * 4;
      return eventAt(row.lane, this.events, this.timeAt(x), tolerance, (y - row.top) / row.height);
    }
    return -1;
  }

  private hover(x: number, y: number): void {
    const event = this.hit(x, y);
    if (event !== this.hovered) {
      this.hovered = event;
      this.redraw();
    }
    this.tooltip.hidden = event < 0;
    if (event < 0) return;
    this.tooltip.replaceChildren(
      h("strong", {}, this.story.brief(event)),
      h("dl", {}, ...this.story.facts(event).flatMap(([what, value]) => [h("dt", {}, what), h("dd", {}, value)])),
    );
    const left = Math.max(0, Math.min(x + 14, this.width - this.tooltip.offsetWidth - 4));
    this.tooltip.style.left = `${left}px`;
    this.tooltip.style.top = `${y + 18}px`;
  }

  private listen(): void {
    const pointers = new Map<number, number>(); // x by pointer
    let moved = 0;
    const position = (e: PointerEvent | WheelEvent | MouseEvent): [number, number] => {
      const box = this.canvas.getBoundingClientRect();
      return [e.clientX - box.left, e.clientY - box.top];
    };
    this.canvas.addEventListener("pointerdown", (e) => {
      this.canvas.setPointerCapture(e.pointerId);
      pointers.set(e.pointerId, position(e)[0]);
      moved = 0;
    });
    this.canvas.addEventListener("pointermove", (e) => {
      const [x, y] = position(e);
      const before = pointers.get(e.pointerId);
      if (before === undefined) return this.hover(x, y);
      moved += Math.abs(x - before);
      const others = [...pointers].filter(([id]) => id !== e.pointerId).map(([, other]) => other);
      const inner = this.width - this.gutter;
      if (others.length === 1 && Math.abs(before - others[0]!) > 8 && Math.abs(x - others[0]!) > 8) {
        this.view.zoom(Math.abs(before - others[0]!) / Math.abs(x - others[0]!), this.timeAt(others[0]!));
      } else if (others.length === 0 && moved > 3) {
        this.tooltip.hidden = true;
        this.view.pan(((before - x) / inner) * this.view.span);
      }
      pointers.set(e.pointerId, x);
    });
    const release = (e: PointerEvent) => {
      if (pointers.delete(e.pointerId) && moved <= 3 && e.type === "pointerup") {
        this.select(this.hit(...position(e)), false);
      }
    };
    this.canvas.addEventListener("pointerup", release);
    this.canvas.addEventListener("pointercancel", release);
    this.canvas.addEventListener("pointerleave", () => ((this.tooltip.hidden = true), (this.hovered = -1), this.redraw()));
    this.canvas.addEventListener("dblclick", (e) => this.view.zoom(0.25, this.timeAt(position(e)[0])));
    this.canvas.addEventListener("wheel", (e) => this.wheel(e, position(e)[0]), { passive: false });
    this.canvas.addEventListener("keydown", (e) => this.key(e));
  }

  // Ctrl (or a pinch on a touchpad), or plain once the timeline has the focus, zooms; sideways pans; else the page
  // scrolls.
  private wheel(e: WheelEvent, x: number): void {
    const sideways = Math.abs(e.deltaX) > Math.abs(e.deltaY) ? e.deltaX : e.shiftKey ? e.deltaY : 0;
    const focused = document.activeElement === this.canvas;
    if (sideways !== 0) this.view.pan((sideways / (this.width - this.gutter)) * this.view.span);
    else if (e.ctrlKey || e.metaKey || focused) this.view.zoom(Math.exp(e.deltaY * 0.002), this.timeAt(x));
    else return;
    e.preventDefault();
  }

  private key(e: KeyboardEvent): void {
    const middle = (this.view.from + this.view.to) / 2;
    const actions: Record<string, () => void> = {
      "+": () => this.view.zoom(0.5, middle),
      "=": () => this.view.zoom(0.5, middle),
      "-": () => this.view.zoom(2, middle),
      "0": () => this.view.all(),
      ArrowLeft: () => (e.shiftKey ? this.step(-1) : this.view.pan(-0.2 * this.view.span)),
      ArrowRight: () => (e.shiftKey ? this.step(1) : this.view.pan(0.2 * this.view.span)),
      Enter: () => this.select(this.hit(this.width / 2, this.rows[0]!.top + 4), false),
      Escape: () => this.select(-1, false),
    };
    const action = actions[e.key];
    if (!action || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    action();
  }

  // The event before or after the selected one in its lane.
  private step(by: number): void {
    if (this.selected < 0) return this.select(this.events.laneBegin[this.rows[0]!.index]!, true);
    const lane = this.story.laneOf(this.selected);
    const next = this.selected + by;
    if (next >= this.events.laneBegin[lane]! && next < this.events.laneBegin[lane + 1]!) this.select(next, true);
  }
}
