// The table of open tickets: one row per ticket id, patched in place.
// Newest change first, but never under the eyes of someone who has scrolled: then the order is
// held, and a button says how much has changed.

import { age, element, fullTime, isOpen, levelWord, marked, statusWord } from "./words.js";

const SHOWN = 300;
const ORDER_MS = 800; // at most this often do rows change places
const LEAVE_MS = 4000; // a closed ticket stays this long, so that its closing is seen
const AGE_MS = 5000;
const SCROLLED_PX = 60;

export class Board {
  #tickets = new Map(); // id -> {data, order, changed, row, cells, leaving}
  #dirty = new Set();
  #frame = 0;
  #orderTimer = 0;
  #orderedAt = 0;
  #held = new Set();
  #limit = SHOWN;
  #status = "";
  #words = [];
  #loaded = false;

  constructor({ rows, held, empty, more, counts, now = Date.now }) {
    Object.assign(this, { rows, held, empty, more, counts, now });
    held.addEventListener("click", () => {
      scrollTo({ top: 0 });
      this.#order();
    });
    more.addEventListener("click", () => {
      this.#limit = Infinity;
      this.#order();
    });
    addEventListener("scroll", () => this.#held.size && scrollY < SCROLLED_PX && this.#orderSoon(), { passive: true });
    setInterval(() => document.hidden || this.#ages(), AGE_MS);
  }

  replace(tickets) {
    for (const item of this.#tickets.values()) clearTimeout(item.leaving);
    this.#tickets.clear();
    this.#dirty.clear();
    this.#held.clear();
    this.#loaded = true;
    for (const data of tickets) this.#tickets.set(data.id, this.#item(data, 0));
    this.#order();
  }

  // Take one event frame; return whether it changed a ticket.
  apply(frame) {
    switch (frame.type) {
      case "ticket_deleted":
        return this.#remove(frame.ticket_id);
      case "ticket_moved":
        if (frame.status === undefined) return this.#remove(frame.ticket_id); // it left our sites
        return this.#put(frame, frame.status);
      case "ticket_created":
      case "ticket_edited":
        return this.#put(frame, frame.status);
      case "ticket_updated":
        return this.#put(frame, frame.new_status);
    }
    return false;
  }

  filter({ status = this.#status, text }) {
    this.#status = status;
    if (text !== undefined) this.#words = text.toLowerCase().split(/\s+/).filter(Boolean);
    this.#limit = SHOWN;
    this.#order();
  }

  #item(data, order) {
    return { data, order, changed: Date.parse(data.updated_at) || 0, row: null, cells: null, leaving: 0 };
  }

  #put(frame, status) {
    const data = {
      id: frame.ticket_id,
      ticket_no: frame.ticket_no,
      status,
      priority: frame.priority,
      site_name: frame.site_name,
      assigned_to: frame.assigned_to,
      description: frame.description,
      version: frame.version,
      updated_at: frame.updated_at,
    };
    let item = this.#tickets.get(data.id);
    if (item === undefined) {
      if (!isOpen(status) || frame.replay_of !== undefined) return false; // a replay brings nothing back
      item = this.#item(data, frame.seq);
      this.#tickets.set(data.id, item);
    } else {
      // Of several frames of one write, which have one version, the first brings the whole row.
      if (data.version <= item.data.version) return false;
      item.data = data;
      item.order = frame.seq;
      item.changed = Date.parse(data.updated_at) || item.changed;
    }
    clearTimeout(item.leaving);
    item.leaving = isOpen(status) ? 0 : setTimeout(() => this.#remove(data.id), LEAVE_MS);
    this.#touch(data.id);
    return true;
  }

  #remove(id) {
    const item = this.#tickets.get(id);
    if (item === undefined) return false;
    clearTimeout(item.leaving);
    item.row?.remove();
    this.#tickets.delete(id);
    this.#held.delete(id);
    this.#touch(id);
    return true;
  }

  #touch(id) {
    this.#dirty.add(id);
    // A hidden tab draws no frames; it must not pile up work either.
    this.#frame ||= document.hidden ? setTimeout(() => this.#draw(), 1000) : requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#frame = 0;
    for (const id of this.#dirty) {
      const item = this.#tickets.get(id);
      if (item === undefined) continue;
      if (item.row) this.#patch(item, true);
      this.#held.add(id);
    }
    this.#dirty.clear();
    this.#orderSoon();
    this.#count();
  }

  #orderSoon() {
    if (scrollY >= SCROLLED_PX) return this.#showHeld();
    const wait = this.#orderedAt + ORDER_MS - performance.now();
    if (wait <= 0) return this.#order();
    this.#orderTimer ||= setTimeout(() => {
      this.#orderTimer = 0; // timers may fire a little early; then this waits once more
      this.#orderSoon();
    }, wait);
  }

  #order() {
    clearTimeout(this.#orderTimer);
    this.#orderTimer = 0;
    this.#orderedAt = performance.now();
    const matching = [...this.#tickets.values()].filter((item) => this.#matches(item.data));
    matching.sort((a, b) => b.order - a.order || b.changed - a.changed || b.data.id - a.data.id);
    const shown = matching.slice(0, this.#limit);
    const fresh = this.#held;
    const keep = new Set();
    let at = this.rows.firstElementChild;
    for (const item of shown) {
      if (item.row === null) {
        this.#patch(item, false);
        if (fresh.has(item.data.id)) this.#flash(item.row);
      }
      keep.add(item.row);
      if (item.row === at) at = at.nextElementSibling;
      else this.rows.insertBefore(item.row, at);
    }
    while (at) {
      const gone = at;
      at = at.nextElementSibling;
      if (!keep.has(gone)) gone.remove();
    }
    for (const item of this.#tickets.values()) if (item.row && !keep.has(item.row)) item.row = item.cells = null;
    this.#held = new Set();
    this.held.hidden = true;
    this.more.hidden = matching.length <= shown.length;
    this.more.textContent = `Show ${matching.length - shown.length} older tickets`;
    this.empty.hidden = matching.length > 0 || !this.#loaded;
    this.empty.textContent = this.#tickets.size ? "No open ticket matches." : "No open tickets.";
    this.#count();
  }

  #matches(data) {
    if (this.#status && data.status !== this.#status) return false;
    if (this.#words.length === 0) return true;
    const text = `${data.ticket_no} ${data.site_name ?? ""} ${data.description} ${data.assigned_to ?? ""}`.toLowerCase();
    return this.#words.every((word) => text.includes(word));
  }

  #showHeld() {
    this.held.hidden = this.#held.size === 0;
    this.held.textContent = `${this.#held.size} changed · back to the newest`;
  }

  #count() {
    const counts = {};
    let open = 0;
    for (const { data } of this.#tickets.values()) {
      counts[data.status] = (counts[data.status] ?? 0) + 1;
      if (isOpen(data.status)) open += 1;
    }
    for (const [status, node] of Object.entries(this.counts)) {
      const text = String(status === "all" ? open : (counts[status] ?? 0));
      if (node.textContent !== text) node.textContent = text;
    }
  }

  #patch(item, flash) {
    const { data } = item;
    if (item.row === null) {
      item.row = element("tr");
      item.row.dataset.ticket = data.id;
      item.cells = {};
      for (const name of ["priority", "ticket_no", "status", "site_name", "description", "assigned_to", "age"]) {
        item.cells[name] = item.row.appendChild(element("td", name));
      }
    }
    const { cells, row } = item;
    row.classList.toggle("leaving", !isOpen(data.status));
    row.dataset.status = data.status;
    row.dataset.priority = data.priority;
    this.#cell(cells.priority, data.priority, flash, () => marked("level", data.priority, levelWord(data.priority)));
    this.#cell(cells.ticket_no, data.ticket_no, flash);
    this.#cell(cells.status, data.status, flash, () => marked("status", data.status, statusWord(data.status)));
    this.#cell(cells.site_name, data.site_name ?? "", flash);
    this.#cell(cells.description, data.description, flash);
    cells.description.title = data.description;
    this.#cell(cells.assigned_to, data.assigned_to ?? "", flash);
    cells.age.title = fullTime(item.changed);
    this.#age(item);
    if (flash) this.#flash(row);
  }

  #cell(cell, value, flash, build) {
    if (cell.dataset.value === value) return;
    cell.dataset.value = value;
    cell.replaceChildren(build ? build() : document.createTextNode(value));
    if (flash) this.#flash(cell);
  }

  // Two names for one animation: changing between them starts it again without a forced layout.
  #flash(node) {
    node.dataset.flash = node.dataset.flash === "a" ? "b" : "a";
  }

  #age(item) {
    const text = age(this.now() - item.changed);
    if (item.cells.age.textContent !== text) item.cells.age.textContent = text;
  }

  #ages() {
    for (const item of this.#tickets.values()) if (item.row) this.#age(item);
  }
}
