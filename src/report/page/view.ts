// The range of time that is in view, in femtoseconds.
import { femtoseconds } from "./format";

// 1, 2 or 5 times a power of ten, not below `least`.
export function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  for (const factor of [1, 2, 5, 10]) {
    if (factor * power >= least) return factor * power;
  }
  return 10 * power;
}

export class View {
  from = 0;
  to: number;
  private listeners: (() => void)[] = [];

  constructor(private whole: number) {
    this.to = whole;
  }

  get span(): number {
    return this.to - this.from;
  }

  listen(changed: () => void): void {
    this.listeners.push(changed);
  }

  set(from: number, to: number): void {
    const span = Math.min(this.whole, Math.max(1000, to - from)); // not below a picosecond
    this.from = Math.min(Math.max(0, from), this.whole - span);
    this.to = this.from + span;
    for (const changed of this.listeners) changed();
  }

  all(): void {
    this.set(0, this.whole);
  }

  pan(by: number): void {
    this.set(this.from + by, this.to + by);
  }

  // `factor` < 1 shows less; the instant `fixed` stays where it is.
  zoom(factor: number, fixed: number): void {
    const span = Math.min(this.whole, Math.max(1000, this.span * factor));
    const part = (fixed - this.from) / this.span;
    this.set(fixed - part * span, fixed + (1 - part) * span);
  }

  center(time: number, span: number): void {
    const wanted = Math.min(this.span, Math.max(span, 1000));
    this.set(time - wanted / 2, time + wanted / 2);
  }

  // A tick's label, with as many digits as the step needs.
  tick(time: number, step: number): string {
    if (time === 0) return "0";
    const units: [number, string][] = [[1e15, "s"], [1e12, "ms"], [1e9, "\u00b5s"], [1e6, "ns"], [1e3, "ps"]];
    const [unit, name] = units.find(([u]) => this.to >= u) ?? [1, "fs"];
    const digits = Math.max(0, -Math.floor(Math.log10(step / unit) + 1e-9));
    return digits > 9 ? femtoseconds(time) : `${(time / unit).toFixed(digits)} ${name}`;
  }
}
