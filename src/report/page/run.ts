// The run in numbers, as report/page.cc writes it.

export type Kind = "rate" | "latency" | "size";

export interface Layer {
  name: string;
  kind: string;
  seconds: number;
  share: number;
  macs: number;
  bytes: number;
  instructions: number;
  boundBy: string;
}

export interface Change {
  section: string;
  key: string;
  before: string;
  after: string;
}

export interface WhatIf {
  resource: string;
  kind: Kind;
  sameProgramSeconds: number; // 0: not known
  compiledSeconds: number; // 0: not known
  changes: Change[];
}

export interface Run {
  model: string;
  chip: string;
  cores: number;
  chipFile: string;
  specHash: string;
  traceHash: string;
  precision: string;
  outcome: string;
  confidence: string;
  seconds: number;
  elapsedFs: number;
  idealSeconds: number;
  macsSeconds: number;
  bytesSeconds: number;
  compulsoryBytes: number;
  boundBy: string;
  macs: number;
  mfu: number;
  instructions: number;
  hbmReadBytes: number;
  hbmWriteBytes: number;
  hbmBoundBytesPerSecond: number;
  hbmBoundFraction: number;
  peakMacsPerSecond: number;
  lanes: { name: string; dma: boolean }[];
  engines: { name: string; instructions: number; busy: number; waits: [string, number][] }[];
  layers: Layer[];
  path: { resource: string; kind: Kind; seconds: number; gainMostSeconds: number }[];
  whatIfs: WhatIf[];
  notes: string;
  fields: [section: string, key: string, value: string, source: string][];
}

export function readRun(): Run {
  return JSON.parse(document.getElementById("run")!.textContent!) as Run;
}

const NAMES: Record<string, string> = {
  tensor: "tensor engine",
  vector: "vector engine",
  scalar: "scalar engine",
  gpsimd: "GPSIMD engine",
  sync: "sync engine",
  dma: "DMA",
  hbm: "HBM",
  sbuf: "SBUF",
  psum: "PSUM",
  semaphores: "semaphores",
  latency: "latency",
};

export const resourceName = (resource: string): string => NAMES[resource] ?? resource;

// "vector engine, clock" and the like: what of the resource.
export function partName(resource: string, kind: Kind): string {
  if (kind === "size") return "size";
  if (kind === "latency") return resource === "semaphores" ? "wake-up" : "latency";
  return resource === "dma" || resource === "hbm" ? "bandwidth" : "clock";
}
