// Which status may follow which, as in apps/helpdesk/transitions.py (a test compares them), so that the page offers
// nothing that the server would refuse.

/** @type {Record<string, readonly string[]>} */
export const ALLOWED = {
  NEW: ["IN_PROGRESS", "ON_HOLD", "RESOLVED", "CLOSED", "CANCELLED"],
  IN_PROGRESS: ["NEW", "ON_HOLD", "RESOLVED", "CLOSED", "CANCELLED"],
  ON_HOLD: ["NEW", "IN_PROGRESS", "RESOLVED", "CLOSED", "CANCELLED"],
  RESOLVED: ["NEW", "IN_PROGRESS", "ON_HOLD", "CLOSED"],
  CLOSED: [],
  CANCELLED: [],
};

/**
 * @param {string} from
 * @param {string} to
 */
export const mayFollow = (from, to) => ALLOWED[from]?.includes(to) ?? false;

/**
 * The statuses that are asked about before they are set: the server wants a reason, or nothing leads back.
 * @type {Record<string, {label: string, required: boolean}>}
 */
export const NOTE = {
  ON_HOLD: { label: "Reason", required: true },
  RESOLVED: { label: "Note, may be empty", required: false },
  CLOSED: { label: "Note, may be empty. Nothing leads back.", required: false },
  CANCELLED: { label: "Note, may be empty. Nothing leads back.", required: false },
};
