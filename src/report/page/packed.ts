// All events, as report/packed.cc packs them.

export interface Residency {
  memory: string;
  capacity: number;
  sliceSeconds: number;
  rows: { name: string; first: number; bytes: number[] }[];
}

export interface PackedTables {
  sources: [layer: number, tileOp: string, node: string][];
  texts: string[];
  instructionTexts: number[][]; // by lane and instruction
  releases: string[];
  memories: Residency[];
}

// Columns; a missing instruction, source, cause, trigger, semaphore or queue is -1. Times in femtoseconds.
export interface Events {
  count: number;
  laneBegin: Uint32Array; // one more than lanes
  start: Float64Array;
  until: Float64Array; // end of occupancy
  end: Float64Array; // results visible
  setup: Float64Array;
  release: Uint8Array;
  cause: Int32Array;
  trigger: Int32Array;
  instruction: Int32Array;
  source: Int32Array;
  semaphore: Int32Array;
  queue: Int32Array;
  amount: Float64Array;
  alone: Float64Array;
  path: Int32Array; // events of the critical path
}

async function unpack(text: string): Promise<Uint8Array> {
  const binary = atob(text);
  const packed = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; ++i) packed[i] = binary.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

class Numbers {
  constructor(
    private bytes: Uint8Array,
    private at: number,
  ) {}

  next(): number {
    let b = this.bytes[this.at++]!;
    if (b < 128) return b;
    let value = b & 127;
    let scale = 128;
    do {
      b = this.bytes[this.at++]!;
      value += (b & 127) * scale;
      scale *= 128;
    } while (b >= 128);
    return value;
  }

  difference(): number {
    const n = this.next();
    return n % 2 === 0 ? n / 2 : -(n + 1) / 2;
  }
}

function readColumns(numbers: Numbers): Events {
  const lanes = numbers.next();
  const laneBegin = new Uint32Array(lanes + 1);
  for (let lane = 0; lane < lanes; ++lane) laneBegin[lane + 1] = laneBegin[lane]! + numbers.next();
  const count = laneBegin[lanes]!;
  const fill = <A extends { [index: number]: number }>(column: A, value: (index: number) => number): A => {
    for (let i = 0; i < count; ++i) column[i] = value(i);
    return column;
  };
  const start = new Float64Array(count);
  for (let lane = 0; lane < lanes; ++lane) {
    let time = 0;
    for (let i = laneBegin[lane]!; i < laneBegin[lane + 1]!; ++i) start[i] = time += numbers.next();
  }
  const link = (i: number): number => {
    const d = numbers.difference();
    return d === 0 ? -1 : i - d;
  };
  const next = () => numbers.next();
  const optional = () => numbers.next() - 1;
  const until = fill(new Float64Array(count), (i) => start[i]! + numbers.next());
  return {
    count,
    laneBegin,
    start,
    until,
    end: fill(new Float64Array(count), (i) => until[i]! + numbers.difference()),
    setup: fill(new Float64Array(count), next),
    release: fill(new Uint8Array(count), next),
    cause: fill(new Int32Array(count), link),
    trigger: fill(new Int32Array(count), link),
    instruction: fill(new Int32Array(count), optional),
    source: fill(new Int32Array(count), optional),
    semaphore: fill(new Int32Array(count), optional),
    queue: fill(new Int32Array(count), optional),
    amount: fill(new Float64Array(count), next),
    alone: fill(new Float64Array(count), next),
    path: readPath(numbers),
  };
}

function readPath(numbers: Numbers): Int32Array {
  const path = new Int32Array(numbers.next());
  let event = 0;
  for (let k = 0; k < path.length; ++k) path[k] = event += numbers.difference();
  return path;
}

export async function readPacked(): Promise<{ tables: PackedTables; events: Events }> {
  const element = document.getElementById("packed")!;
  const bytes = await unpack(element.textContent!);
  element.remove();
  const size = new DataView(bytes.buffer).getUint32(0, true);
  const tables = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size))) as PackedTables;
  return { tables, events: readColumns(new Numbers(bytes, 4 + size)) };
}
