// Numbers as text, three digits each.

function short(value: number): string {
  if (value === 0) return "0";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value)) + 1e-9));
  return value.toFixed(Math.min(digits, 6));
}

function scaled(value: number, steps: [number, string][], smallest: string): string {
  for (const [unit, name] of steps) {
    if (Math.abs(value) >= unit * 0.9995) return `${short(value / unit)} ${name}`;
  }
  return `${short(value)} ${smallest}`;
}

export function seconds(s: number): string {
  if (s === 0) return "0 s";
  const steps: [number, string][] = [[1, "s"], [1e-3, "ms"], [1e-6, "\u00b5s"], [1e-9, "ns"], [1e-12, "ps"]];
  return scaled(s, steps, "s");
}

export const femtoseconds = (fs: number): string => seconds(fs * 1e-15);

export function bytes(n: number): string {
  return scaled(n, [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]], "B");
}

export function count(n: number): string {
  if (n < 10000) return String(n);
  return scaled(n, [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]], "");
}

export const rate = (perSecond: number, unit: string): string => {
  const [number, prefix] = count(perSecond).split(" ");
  return `${number} ${prefix ?? ""}${unit}/s`;
};

export function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(1)}\u202f%`;
}
