// What an event is, where it comes from, and what released its start, in words.
import { bytes, count, femtoseconds } from "./format";
import type { Events, PackedTables } from "./packed";
import type { Run } from "./run";

// An instant to the nanosecond.
const at = (fs: number): string => `${(fs * 1e-9).toFixed(3)} \u00b5s`;

export class Story {
  constructor(
    private run: Run,
    private tables: PackedTables,
    private events: Events,
  ) {}

  laneOf(event: number): number {
    const begins = this.events.laneBegin;
    let lane = 0;
    while (begins[lane + 1]! <= event) ++lane;
    return lane;
  }

  laneName = (event: number): string => this.run.lanes[this.laneOf(event)]!.name;
  isShare = (event: number): boolean => this.events.instruction[event]! < 0;

  name(event: number): string {
    return this.tables.sources[this.events.source[event]!]?.[1] || "?";
  }

  node(event: number): string {
    return this.tables.sources[this.events.source[event]!]?.[2] ?? "";
  }

  layer(event: number): number {
    return this.tables.sources[this.events.source[event]!]?.[0] ?? -1;
  }

  layerName(event: number): string {
    return this.run.layers[this.layer(event)]?.name ?? "";
  }

  // Of a share, that of the instruction which triggered its transfer.
  instruction(event: number): string {
    const at = this.isShare(event) ? this.events.trigger[event]! : event;
    if (at < 0) return "";
    const text = this.tables.instructionTexts[this.laneOf(at)]?.[this.events.instruction[at]!];
    return text === undefined ? "" : (this.tables.texts[text] ?? "");
  }

  amount(event: number): string {
    const n = this.events.amount[event]!;
    if (n === 0) return "";
    if (this.isShare(event) || this.instruction(event).startsWith("dma_")) return bytes(n);
    return this.laneName(event).includes("tensor") ? `${count(n)} macs` : `${count(n)} elements`;
  }

  // "scalar: softmax exp"
  brief(event: number): string {
    return `${this.laneName(event)}: ${this.name(event)}`;
  }

  release(event: number): string {
    const cause = this.events.cause[event]!;
    const from = cause < 0 ? "" : this.brief(cause);
    const semaphore = this.events.semaphore[event]!;
    const raised = semaphore < 0 ? "" : `semaphore ${semaphore}, raised by ${from}`;
    const setup = femtoseconds(this.events.setup[event]!);
    switch (this.tables.releases[this.events.release[event]!]) {
      case "start":
        return "nothing: it is the first in its queue";
      case "queue":
        return `its queue: ${from} came before it`;
      case "semaphore":
        return raised;
      case "bandwidth":
        return `bandwidth, taken until then by ${from}`;
      case "descriptor":
        return `the least time between two transfers of a queue, after ${from}`;
      case "port":
        return `a port, taken until then by ${from}`;
      case "table_load":
        return `loading its activation table (${setup}), after ${raised || from || "nothing"}`;
      case "stationary_load":
        return `loading its stationary operand (${setup}), after ${raised || from || "nothing"}`;
      case "descriptors":
        return `the hardware that makes its descriptors (${setup}), after ${raised || from || "nothing"}`;
      case "trigger":
        return `its trigger ${from}, ${femtoseconds(this.events.start[event]! - this.events.start[cause]!)} before`;
      default:
        return from;
    }
  }

  // Rows of the description: what, value.
  facts(event: number): [string, string][] {
    const e = this.events;
    const rows: [string, string][] = [
      ["layer", this.layerName(event)],
      ["ONNX node", this.node(event)],
      ["instruction", this.instruction(event)],
      ["amount", this.amount(event)],
      ["starts", at(e.start[event]!)],
      ["takes", this.duration(event)],
      ["released by", this.release(event)],
    ];
    if (this.isShare(event)) rows.splice(3, 0, ["queue", String(e.queue[event]!)]);
    return rows.filter(([, value]) => value !== "");
  }

  private duration(event: number): string {
    const e = this.events;
    const busy = e.until[event]! - e.start[event]!;
    let text = femtoseconds(busy);
    const alone = e.alone[event]!;
    if (this.isShare(event) && alone > 0) {
      text += busy > alone * 1.001 ? `; alone it would take ${femtoseconds(alone)}: bandwidth is shared` : "";
    } else if (e.end[event]! > e.until[event]!) {
      text += `; results after ${femtoseconds(e.end[event]! - e.start[event]!)}`;
    }
    return text;
  }
}
