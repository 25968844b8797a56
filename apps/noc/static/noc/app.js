// The wiring of the page: the feed fills the store, and each part draws what it is about.

import { startActivity } from "./activity.js";
import { startList } from "./list.js";
import { PageState } from "./page.js";
import { startStateLine } from "./state-line.js";

/** @typedef {import("./noc-feed.js").EventDetail} EventDetail */
/** @typedef {import("./noc-feed.js").Snapshot} Snapshot */
/** @typedef {import("./noc-feed.js").ProblemDetail} ProblemDetail */

const page = new PageState({ address: new URL(location.href) });
const { feed, store } = page;

feed.addEventListener("snapshot", (/** @type {CustomEvent<Snapshot>} */ { detail }) => store.replace(detail));
feed.addEventListener("event", (/** @type {CustomEvent<EventDetail>} */ { detail }) => void store.apply(detail.frame));
feed.addEventListener("problem", (/** @type {CustomEvent<ProblemDetail>} */ { detail }) => console.warn(detail.text, detail.cause));

startStateLine(page);
page.list = startList(page);
startActivity(page);

page.knowMe().catch((error) => console.warn("who looks is not known:", error));
feed.start();
