// Colours that mean the same everywhere: resources have fixed ones, layers neighbouring hues that differ.

const RESOURCES: Record<string, [light: string, dark: string]> = {
  tensor: ["#2f6fd0", "#6ea3f2"],
  vector: ["#178a62", "#45c596"],
  scalar: ["#c26a12", "#eda352"],
  gpsimd: ["#8a4fbf", "#bd8df0"],
  sync: ["#77808c", "#9aa4b2"],
  dma: ["#0d8ba3", "#49c3da"],
  hbm: ["#0b5f86", "#58a8d8"],
  sbuf: ["#a3315c", "#ee7ba5"],
  psum: ["#b8860b", "#e6bd4f"],
  semaphores: ["#b03a2e", "#f08a7e"],
  table_load: ["#a8583a", "#e0957a"],
  stationary_load: ["#5a6fb0", "#98a9e6"],
  port: ["#6b7f2a", "#b3c95f"],
  throttle: ["#c0457a", "#ef8fb8"],
  descriptors: ["#3c7d86", "#76bcc4"],
  latency: ["#9a8fb5", "#8d83a8"],
  idle: ["#dfe3e8", "#333a43"],
  finished: ["#dfe3e8", "#333a43"],
};

const darkScheme = matchMedia("(prefers-color-scheme: dark)");
export const isDark = (): boolean => darkScheme.matches;
export const onSchemeChange = (redraw: () => void): void => darkScheme.addEventListener("change", redraw);

export function resourceColor(resource: string): string {
  const pair = RESOURCES[resource.replace(/\d+$/, "")] ?? RESOURCES.sync!;
  return pair[isDark() ? 1 : 0];
}

// A golden-angle walk around the colour circle: layers that follow each other are far apart.
export function hueColor(index: number): string {
  if (index < 0) return isDark() ? "#6b7480" : "#9aa3ad";
  const hue = Math.round((index * 137.508 + 205) % 360);
  return isDark() ? `hsl(${hue} 48% 60%)` : `hsl(${hue} 52% 50%)`;
}

export function cssColor(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
