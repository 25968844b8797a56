// How values are shown: words, shapes and times. Text only ever enters the page as text.

const STATUS = { NEW: "New", IN_PROGRESS: "In progress", ON_HOLD: "On hold", RESOLVED: "Resolved", CLOSED: "Closed", CANCELLED: "Cancelled" };
const LEVEL = { LOW: "Low", MEDIUM: "Medium", HIGH: "High", CRITICAL: "Critical" };

// Why the feed is not live. The other reasons are over before anybody has read them.
const REASON = {
  lost: "no connection",
  silent: "the server is silent",
  unanswered: "the server does not answer",
  draining: "the server restarts",
  slow: "this page reads too slowly",
  rate: "the server asked for a pause",
  overloaded: "the server is busy",
  unavailable: "the server cannot read its log",
  snapshot: "the tickets cannot be loaded",
};

export const reasonWord = (value) => REASON[value] ?? "";
export const statusWord = (value) => STATUS[value] ?? value;
export const levelWord = (value) => LEVEL[value] ?? value;
export const isOpen = (status) => status !== "CLOSED" && status !== "CANCELLED";

export function element(name, className = "", text = "") {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

// The shape says it without colour, the word says it without either.
export function marked(kind, value, word) {
  const mark = element("span", `mark ${kind}-${Object.hasOwn(kind === "status" ? STATUS : LEVEL, value) ? value : "OTHER"}`);
  const shape = element("span", "shape");
  shape.setAttribute("aria-hidden", "true");
  mark.append(shape, element("span", "", word));
  return mark;
}

export function age(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

const clockFormat = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
export const clock = (time) => clockFormat.format(time);
const fullFormat = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "medium" });
export const fullTime = (time) => fullFormat.format(time);
