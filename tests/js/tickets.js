// Tickets and frames as the server makes them, for the tests of the page's logic.

let last = 0;

export function row(changes = {}) {
  return {
    id: 1,
    ticket_no: "A#1",
    status: "NEW",
    priority: "HIGH",
    site_id: 7,
    site_name: "Berlin",
    assigned_to: null,
    description: "No carrier",
    version: 1,
    created_at: "2026-01-01T10:00:00Z",
    updated_at: "2026-01-01T10:00:00Z",
    acknowledged_by: null,
    acknowledged_at: null,
    ...changes,
  };
}

export function frame(type, changes = {}) {
  const seq = changes.seq ?? ++last;
  last = seq;
  const { id, status, created_at, acknowledged_by, acknowledged_at, ...fields } = row(changes);
  const by_status = type === "ticket_updated" ? { old_status: "NEW", new_status: status } : { status };
  return { type, seq, prev: seq - 1, epoch: "e", event_id: String(seq), ticket_id: id, ...fields, ...by_status, ...changes };
}
