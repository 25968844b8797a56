// The wiring of the page: the feed fills the store, and each part draws what it is about.

import { Actions } from "./actions.js";
import { startActivity } from "./activity.js";
import { startAlarms } from "./alarms.js";
import { startAttention } from "./attention.js";
import { startAway } from "./away.js";
import { startBulkBar } from "./bulk-bar.js";
import { startCharts } from "./charts.js";
import { startClock } from "./clock.js";
import { startCounters } from "./counters.js";
import { startDigest } from "./digest.js";
import { Directory } from "./directory.js";
import { startFilters } from "./filters.js";
import { startFloods } from "./floods.js";
import { startHelp } from "./help.js";
import { bindings, startKeys } from "./keys.js";
import { startList } from "./list.js";
import { Mending } from "./mending.js";
import { startMenus } from "./menus.js";
import { startNewVersion } from "./new-version.js";
import { PageState, part } from "./page.js";
import { startPanel } from "./panel.js";
import { startSavedViews } from "./saved-views.js";
import { startSheet } from "./sheet.js";
import { startSightings } from "./sightings.js";
import { startSites } from "./sites.js";
import { startStateLine } from "./state-line.js";
import { startToasts } from "./toasts.js";
import { startViewsNav } from "./views-nav.js";
import { takeToken } from "./wall-token.js";
import { startWall } from "./wall.js";
import { startWho } from "./who.js";

/** @typedef {import("./noc-feed.js").EventDetail} EventDetail */
/** @typedef {import("./noc-feed.js").Snapshot} Snapshot */
/** @typedef {import("./noc-feed.js").ProblemDetail} ProblemDetail */

const address = new URL(location.href);
const wall = address.searchParams.get("wall") === "1";
const token = wall ? takeToken(address, { storage: localStorage, history }) : null;
/** @returns {Promise<string>} */
const fetchTicket = async () => (await page.http.write("POST", "auth/ws-ticket/")).ticket;
const page = new PageState({ address, wall, token, fetchTicket: token === null ? undefined : fetchTicket });
const { feed, store } = page;
const directory = new Directory(page.http);
const actions = new Actions({
  store,
  http: page.http,
  toast: (text, more) => page.toast(text, more),
  name: () => page.me?.user.name ?? "you",
});
page.actions = actions;

feed.addEventListener("snapshot", (/** @type {CustomEvent<Snapshot>} */ { detail }) => store.replace(detail));
feed.addEventListener("event", (/** @type {CustomEvent<EventDetail>} */ { detail }) => void store.apply(detail.frame));
feed.addEventListener("problem", (/** @type {CustomEvent<ProblemDetail>} */ { detail }) => console.warn(detail.text, detail.cause));

new Mending(page).start();

startMenus();
startStateLine(page);
startFloods(page);
startAttention(page);
startNewVersion(page);
if (wall) startWall(page, { byToken: token !== null });
else startDesk();

/** What an operator works with. */
function startDesk() {
  startClock(page);
  startSavedViews(page, part("saved")); // first of the parts that show the filter: it may choose the default view
  startViewsNav(page);
  startFilters(page, directory);
  startToasts(page);
  page.list = startList(page);
  startSightings(page);
  startBulkBar(page, actions);
  startSheet(page, actions);
  startCounters(page);
  startAway(page);
  startActivity(page);
  startSites(page, directory);
  startCharts(page);
  startPanel(page);
  startDigest(page);

  const help = startHelp(page);
  const bound = bindings(page, help.show);
  help.list(bound);
  startKeys(page, bound);
  page.alarms = startAlarms(page);
}

startWho(page); // after the parts that draw it
feed.start();
