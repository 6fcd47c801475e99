// A table whose columns sort it: by click, or by keyboard on the heading's button.
import { h } from "./dom";

export interface Column<T> {
  title: string;
  cell: (row: T) => Node | string;
  value?: (row: T) => number | string; // what it sorts by; none: it does not
  numeric?: boolean;
}

export interface TableOptions {
  caption: string;
  sortBy?: number; // column, largest first
  rowsShown?: number; // the others on demand
}

export function table<T>(rows: T[], columns: Column<T>[], options: TableOptions): HTMLElement {
  let sorted = [...rows];
  let by = options.sortBy ?? -1;
  let descending = true;
  let shown = Math.min(rows.length, options.rowsShown ?? rows.length);
  const body = h("tbody");
  const headings = columns.map((column, k) => {
    const cell = h("th", { scope: "col", class: column.numeric ? "number" : "" });
    if (!column.value) cell.append(column.title);
    else cell.append(h("button", { type: "button", class: "sort", click: () => sortBy(k) }, column.title));
    return cell;
  });
  const more = h("button", { type: "button", class: "more", click: () => ((shown = rows.length), draw()) });

  function sortBy(k: number): void {
    descending = by === k ? !descending : columns[k]!.numeric === true;
    by = k;
    sort();
    draw();
  }

  function sort(): void {
    const value = columns[by]?.value;
    if (!value) return;
    const sign = descending ? -1 : 1;
    sorted = rows
      .map((row, index) => ({ row, index, key: value(row) }))
      .sort((a, b) => (a.key < b.key ? -sign : a.key > b.key ? sign : a.index - b.index))
      .map((entry) => entry.row);
  }

  function draw(): void {
    headings.forEach((heading, k) => {
      if (columns[k]!.value) heading.setAttribute("aria-sort", k !== by ? "none" : descending ? "descending" : "ascending");
    });
    body.replaceChildren(
      ...sorted.slice(0, shown).map((row) =>
        h("tr", {}, ...columns.map((c) => h("td", { class: c.numeric ? "number" : "" }, c.cell(row)))),
      ),
    );
    more.textContent = `Show all ${rows.length}`;
    more.hidden = shown >= rows.length;
  }

  sort();
  draw();
  const head = h("thead", {}, h("tr", {}, ...headings));
  return h(
    "div",
    { class: "table", tabindex: 0, role: "region", "aria-label": options.caption },
    h("table", {}, h("caption", {}, options.caption), head, body),
    more,
  );
}
