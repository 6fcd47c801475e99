// The chip as it was simulated: every value, and where it comes from.
import { h, section } from "./dom";
import type { Run } from "./run";

export function chip(run: Run): HTMLElement {
  const values = run.fields;
  const sections = [...new Set(values.map(([name]) => name))];
  const isAssumed = (source: string): boolean => source.startsWith("assumed");
  const assumed = values.filter(([, , , source]) => isAssumed(source)).length;
  const badge = (source: string): HTMLElement => {
    const [kind, ...rest] = source.split(":");
    const known = ["source", "fitted", "assumed"].includes(kind!);
    return h("span", {}, h("span", { class: `badge ${known ? kind! : "set"}` }, known ? kind! : "set in"), " ", known ? rest.join(":").trim() : source);
  };
  const group = (name: string): HTMLElement => {
    const rows = values.filter(([s]) => s === name);
    const count = rows.filter(([, , , source]) => isAssumed(source)).length;
    return h(
      "details",
      {},
      h("summary", {}, name || "chip", h("small", {}, ` ${rows.length} values${count ? `, ${count} assumed` : ""}`)),
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "key"), h("th", { scope: "col" }, "value"), h("th", { scope: "col" }, "where it comes from"))),
        h("tbody", {}, ...rows.map(([, key, value, source]) => h("tr", {}, h("td", {}, h("code", {}, key)), h("td", {}, value.replaceAll('"', "")), h("td", {}, source ? badge(source) : "")))),
      ),
    );
  };
  return section(
    "chip",
    `Chip: ${run.chip}`,
    h("p", {}, `All ${values.length} values of the chip, spec hash `, h("code", {}, run.specHash), `. ${assumed} are assumed; the others are documented, fitted to measurements, or set by a chip file.`),
    h("div", { class: "chip" }, ...sections.map(group)),
    run.notes ? h("details", {}, h("summary", {}, "What the tags of the sources mean"), h("pre", {}, run.notes)) : null,
  );
}
