// The run in a glance: time, what bounds it, ideal next to achieved, how far to trust it.
import { resourceColor } from "./colors";
import { h } from "./dom";
import { bytes, count, percent, rate, seconds } from "./format";
import { resourceName, type Run } from "./run";

function bar(label: string, value: number, whole: number, color: string): HTMLElement {
  const width = Math.max(0.3, (100 * value) / whole);
  return h(
    "div",
    { class: "bar-row" },
    h("span", { class: "bar-label" }, label),
    h("span", { class: "bar-track" }, h("span", { class: "bar", style: `width:${width}%;background:${color}` })),
    h("span", { class: "bar-value" }, seconds(value)),
  );
}

function fact(name: string, value: string, note = ""): HTMLElement {
  return h("div", { class: "fact" }, h("dt", {}, name), h("dd", {}, value, note ? h("small", {}, note) : null));
}

export function boundSentence(run: Run): string {
  if (run.boundBy === "latency") return "Nothing is busy half of the time: the run is bound by latency, one thing waiting for another.";
  const engine = run.engines.find((e) => e.name === run.boundBy);
  const busy = run.boundBy === "hbm" ? run.hbmBoundFraction : (engine?.busy ?? 0);
  return `The ${resourceName(run.boundBy)} is the busiest resource, ${percent(busy)} of the time.`;
}

export function headline(run: Run): HTMLElement {
  const idealBy = run.macsSeconds >= run.bytesSeconds ? "macs at peak rate" : "bytes that must cross the HBM";
  const whole = Math.max(run.seconds, run.idealSeconds);
  return h(
    "header",
    { class: "headline" },
    h("h1", {}, run.model || "run", h("span", { class: "on" }, ` on ${run.cores === 1 ? "one" : run.cores} ${run.chip} core${run.cores === 1 ? "" : "s"}, ${run.precision}`)),
    run.outcome ? h("p", { class: "failed", role: "alert" }, `The simulated program failed: ${run.outcome}`) : null,
    h("p", { class: "time", id: "time" }, seconds(run.seconds)),
    h("p", { class: "bound", id: "bound-by" }, boundSentence(run)),
    h(
      "div",
      { class: "bars", id: "ideal", role: "img", "aria-label": `achieved ${seconds(run.seconds)}, ideal ${seconds(run.idealSeconds)}` },
      bar("achieved", run.seconds, whole, resourceColor(run.boundBy)),
      bar("ideal", run.idealSeconds, whole, resourceColor("idle")),
    ),
    h("p", { class: "note" }, `Ideal: the larger of macs at peak rate (${seconds(run.macsSeconds)}) and compulsory bytes at the HBM bound (${seconds(run.bytesSeconds)}); here ${idealBy}. The run takes ${(run.seconds / run.idealSeconds).toFixed(1)} times as long.`),
    h(
      "dl",
      { class: "facts" },
      fact("confidence", run.confidence.split(":")[0] || "not stated", run.confidence.split(":").slice(1).join(":").trim()),
      fact("useful macs", count(run.macs), `${percent(run.mfu)} of the bf16 peak (mfu)`),
      fact("HBM traffic", bytes(run.hbmReadBytes + run.hbmWriteBytes), `${percent(run.hbmBoundFraction)} of ${rate(run.hbmBoundBytesPerSecond, "B")}; ${bytes(run.compulsoryBytes)} compulsory`),
      fact("instructions", count(run.instructions)),
    ),
  );
}
