// What an operator can do to tickets: how it is asked of `tickets/bulk/`, what it will look like, and how it is told.

import { isUnacknowledged } from "./filter.js";
import { mayFollow } from "./transitions.js";
import { LEVEL, levelWord, statusWord } from "./words.js";

/** @typedef {import("./store.js").Ticket} Ticket */
/** @typedef {{id: number, name: string, username: string, namesake?: boolean}} Member `namesake`: another one has the same name */
/**
 * @typedef {{action: "acknowledge"} | {action: "unacknowledge"} | {action: "status", status: string, note: string}
 *   | {action: "assign", member: Member | null} | {action: "priority", priority: string} | {action: "comment", text: string}} Deed
 */

const RANK = Object.keys(LEVEL);

/**
 * What the server is told besides the tickets.
 * @param {Deed} deed
 */
export function body(deed) {
  switch (deed.action) {
    case "status":
      return { action: "status", status: deed.status, ...(deed.note && { note: deed.note }) };
    case "assign":
      return { action: "assign", assigned_to_id: deed.member?.id ?? null };
    default:
      return { ...deed };
  }
}

/**
 * Whether it would change the ticket, as far as this page knows.
 * @param {Deed} deed
 * @param {Ticket} ticket
 */
export function applies(deed, ticket) {
  switch (deed.action) {
    case "acknowledge":
      return isUnacknowledged(ticket);
    case "unacknowledge":
      return ticket.acknowledged_at !== null;
    case "status":
      return mayFollow(ticket.status, deed.status);
    case "assign":
      return ticket.assigned_to !== (deed.member?.name ?? null) || !!deed.member?.namesake; // which of them has it, no row says
    case "priority":
      return ticket.priority !== deed.priority;
    case "comment":
      return true;
  }
}

/** A note is right whatever has become of the ticket; all else was decided on what was seen. @param {Deed} deed */
export const needsVersion = (deed) => deed.action !== "comment";

/** Whether it makes the next version of the ticket: what lies beside the row makes none. @param {Deed} deed */
export const raisesVersion = (deed) => deed.action === "status" || deed.action === "assign" || deed.action === "priority";

/**
 * What the ticket will look like.
 * @param {Deed} deed
 * @param {Ticket} ticket
 * @param {{name: string, now: string}} by
 * @returns {Partial<Ticket>}
 */
export function outcome(deed, ticket, { name, now }) {
  const nobody = { acknowledged_by: null, acknowledged_at: null };
  switch (deed.action) {
    case "acknowledge":
      return { acknowledged_by: name, acknowledged_at: now };
    case "unacknowledge":
      return nobody;
    case "status":
      return { status: deed.status, ...(deed.status === "NEW" && nobody) };
    case "assign":
      return { assigned_to: deed.member?.name ?? null };
    case "priority":
      return { priority: deed.priority, ...(RANK.indexOf(deed.priority) < RANK.indexOf(ticket.priority) && nobody) };
    case "comment":
      return {};
  }
}

/** What was typed for it. @param {Deed} deed */
export const typed = (deed) => (deed.action === "comment" ? deed.text : deed.action === "status" ? deed.note : "");

/** "acknowledged", "assigned to Bo": after the ticket's number. @param {Deed} deed */
export function past(deed) {
  switch (deed.action) {
    case "acknowledge":
      return "acknowledged";
    case "unacknowledge":
      return "no longer acknowledged";
    case "status":
      return `set to ${statusWord(deed.status)}`;
    case "assign":
      return deed.member ? `assigned to ${deed.member.name}` : "assigned to nobody";
    case "priority":
      return `set to ${levelWord(deed.priority)}`;
    case "comment":
      return "given a note";
  }
}

/** "acknowledge it", "set it to Resolved": what was wanted. @param {Deed} deed */
export function wish(deed) {
  switch (deed.action) {
    case "acknowledge":
      return "acknowledge it";
    case "unacknowledge":
      return "take back its acknowledgement";
    case "status":
      return `set it to ${statusWord(deed.status)}`;
    case "priority":
      return `set it to ${levelWord(deed.priority)}`;
    case "assign":
      return `assign it to ${deed.member?.name ?? "nobody"}`;
    case "comment":
      return "add a note";
  }
}
