// What the page shows, as its address says it and as the server understands it.

/** @typedef {import("./store.js").Ticket} Ticket */
/** @typedef {"status" | "priority" | "site" | "assignee" | "acknowledged" | "q"} Dimension */

export const KINDS = /** @type {const} */ (["ticket", "finding", "anomaly"]);
/** @typedef {typeof KINDS[number]} Kind */
const NOBODY = "-";
/** What words are looked for in; a ticket is a value, so it is made once. @type {WeakMap<Ticket, string>} */
const TEXTS = new WeakMap();
const SORTS = /** @type {const} */ (["urgent", "changed"]);

/** A filter is a value: changing it makes another. */
export class Filter {
  /** @param {Partial<Filter>} [values] */
  constructor(values = {}) {
    /** @type {Kind} */
    this.kind = values.kind ?? "ticket";
    /** @type {readonly string[]} */
    this.status = values.status ?? [];
    /** Priority of tickets, severity of findings and anomalies. @type {readonly string[]} */
    this.priority = values.priority ?? [];
    /** Ids. @type {readonly number[]} */
    this.site = values.site ?? [];
    /** Display name, "-" for nobody, "" for all. @type {string} */
    this.assignee = values.assignee ?? "";
    /** @type {boolean | null} false: only what nobody has acknowledged */
    this.acknowledged = values.acknowledged ?? null;
    /** @type {string} words that must all occur */
    this.q = values.q ?? "";
    /** @type {typeof SORTS[number]} */
    this.sort = values.sort ?? "urgent";
    this.words = this.q.toLowerCase().split(/\s+/).filter(Boolean);
    Object.freeze(this);
  }

  /** @param {Partial<Filter>} changes */
  with(changes) {
    return new Filter({ ...this, ...changes });
  }

  /** What is not understood is left out. @param {URLSearchParams} query */
  static fromQuery(query) {
    const acknowledged = query.get("acknowledged");
    return new Filter({
      kind: KINDS.find((kind) => kind === query.get("kind")) ?? "ticket",
      status: query.getAll("status"),
      priority: query.getAll("priority"),
      site: query.getAll("site").map(Number).filter((id) => Number.isSafeInteger(id) && id > 0),
      assignee: query.get("assignee") ?? "",
      acknowledged: acknowledged === "true" ? true : acknowledged === "false" ? false : null,
      q: query.get("q") ?? "",
      sort: SORTS.find((sort) => sort === query.get("sort")) ?? "urgent",
    });
  }

  /** For the address of the page. */
  toQuery() {
    const query = this.forServer();
    if (this.kind !== "ticket") query.set("kind", this.kind);
    if (this.sort !== "urgent") query.set("sort", this.sort);
    return query;
  }

  /** For `tickets/` and `tickets/counts/`. */
  forServer() {
    const query = new URLSearchParams();
    for (const value of this.status) query.append("status", value);
    for (const value of this.priority) query.append("priority", value);
    for (const value of this.site) query.append("site", String(value));
    if (this.assignee) query.set("assignee", this.assignee);
    if (this.acknowledged !== null) query.set("acknowledged", String(this.acknowledged));
    if (this.q.trim()) query.set("q", this.q.trim());
    return query;
  }

  get isEmpty() {
    return this.forServer().size === 0;
  }

  /**
   * @param {Ticket} ticket
   * @param {Dimension} [except]  that does not count, as in the server's facets
   */
  matches(ticket, except) {
    return (
      (except === "status" || this.status.length === 0 || this.status.includes(ticket.status)) &&
      (except === "priority" || this.priority.length === 0 || this.priority.includes(ticket.priority)) &&
      (except === "site" || this.site.length === 0 || this.site.includes(ticket.site_id)) &&
      (except === "assignee" || !this.assignee || (this.assignee === NOBODY ? ticket.assigned_to === null : ticket.assigned_to === this.assignee)) &&
      (except === "acknowledged" || this.acknowledged === null || this.acknowledged === !isUnacknowledged(ticket)) &&
      (this.words.length === 0 || this.#says(ticket))
    );
  }

  /**
   * Whether it lets a finding or an anomaly through, as the server does. They have no status and no assignee.
   * @param {Pick<import("./sighting-pages.js").Sighting, "site_id" | "site_name" | "severity" | "title" | "metric">} sighting
   */
  matchesSighting({ site_id, site_name, severity, title, metric }) {
    const text = `${title ?? metric}\n${site_name ?? ""}`.toLowerCase();
    return (!this.site.length || (site_id !== null && this.site.includes(site_id))) && (!this.priority.length || this.priority.includes(severity)) && this.words.every((word) => text.includes(word));
  }

  /** @param {Ticket} ticket */
  #says(ticket) {
    let text = TEXTS.get(ticket);
    if (text === undefined) {
      text = `${ticket.ticket_no}\n${ticket.site_name ?? ""}\n${ticket.description}\n${ticket.assigned_to ?? ""}`.toLowerCase();
      TEXTS.set(ticket, text);
    }
    return this.words.every((word) => text.includes(word));
  }
}

/** Nobody has taken notice of it. @param {Ticket} ticket */
export const isUnacknowledged = (ticket) => ticket.status === "NEW" && ticket.acknowledged_at === null;
