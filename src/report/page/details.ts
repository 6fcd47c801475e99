// The selected event, in full, with the way back along what released it.
import { hueColor } from "./colors";
import { h } from "./dom";
import type { Events } from "./packed";
import type { Story } from "./story";

export class Details {
  readonly element = h("div", { class: "details", "aria-live": "polite", id: "details" });

  constructor(
    private story: Story,
    private events: Events,
    private go: (event: number) => void,
  ) {
    this.show(-1);
  }

  show(event: number): void {
    if (event < 0) {
      this.element.replaceChildren(h("p", { class: "note" }, "Choose an event to see what it is and what released its start."));
      return;
    }
    const link = (to: number, text: string): HTMLElement | null =>
      to < 0 ? null : h("button", { type: "button", click: () => this.go(to) }, text);
    const cause = this.events.cause[event]!;
    const trigger = this.events.trigger[event]!;
    this.element.replaceChildren(
      h("h3", {}, h("i", { class: "swatch", style: `background:${hueColor(this.story.layer(event))}` }), this.story.brief(event)),
      h("dl", {}, ...this.story.facts(event).flatMap(([what, value]) => [h("dt", {}, what), h("dd", {}, value)])),
      h(
        "p",
        { class: "buttons" },
        link(cause, cause < 0 ? "" : `Go to what released it: ${this.story.brief(cause)}`),
        trigger === cause ? null : link(trigger, "Go to its trigger"),
      ),
    );
  }
}
