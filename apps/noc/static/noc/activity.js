// The list beside the table: what happened, newest first, findings and anomalies among it.

import { clock, element, levelWord, marked, statusWord } from "./words.js";

const KEPT = 60;

export class Activity {
  #waiting = [];
  #frame = 0;

  constructor({ list, empty }) {
    this.list = list;
    this.empty = empty;
  }

  add(frame) {
    this.#waiting.push(frame);
    if (this.#waiting.length > KEPT) this.#waiting.shift();
    this.#frame ||= setTimeout(() => this.#draw(), 200);
  }

  #draw() {
    this.#frame = 0;
    this.list.prepend(...this.#waiting.map((frame) => this.#entry(frame)).reverse());
    this.#waiting = [];
    while (this.list.children.length > KEPT) this.list.lastElementChild.remove();
    this.empty.hidden = true;
  }

  #entry(frame) {
    const entry = element("li");
    entry.dataset.seq = frame.seq;
    entry.append(element("time", "muted", clock(Date.now())));
    const text = entry.appendChild(element("span", "what"));
    const say = (name, ...rest) => text.append(element("b", "", name), " ", ...rest);
    const where = frame.site_name ? element("span", "muted", ` · ${frame.site_name}`) : "";
    switch (frame.type) {
      case "ticket_updated":
        say(frame.ticket_no, element("span", "muted", `${statusWord(frame.old_status)} → `), marked("status", frame.new_status, statusWord(frame.new_status)));
        break;
      case "ticket_created":
        say(frame.ticket_no, "opened ", marked("level", frame.priority, levelWord(frame.priority)));
        break;
      case "ticket_edited":
        say(frame.ticket_no, "edited");
        break;
      case "ticket_moved":
        say(frame.ticket_no, frame.status === undefined ? "moved away" : `moved to ${frame.site_name ?? "no site"}`);
        break;
      case "ticket_deleted":
        say(frame.ticket_no, "deleted");
        break;
      case "finding_created":
        text.append(marked("level", frame.severity, levelWord(frame.severity)), " finding: ", frame.title, where);
        break;
      case "anomaly_detected":
        text.append(marked("level", frame.severity, levelWord(frame.severity)), ` anomaly: ${frame.metric} is ${number(frame.observed)}, expected ${number(frame.expected)}`, where);
        break;
      case "event_failed":
        text.append(element("span", "refusal", `One event could not be shown (${frame.event_type})`));
        break;
      default:
        text.append(frame.type);
    }
    return entry;
  }
}

const number = (value) => (typeof value === "number" ? Number(value.toPrecision(4)).toLocaleString() : "unknown");
