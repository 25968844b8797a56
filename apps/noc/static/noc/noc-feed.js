// The client of the feed `/ws/noc/`: a snapshot, then every event after it, in order and once.
//
//   const feed = new Feed({ snapshotUrl: "/api/v1/noc/snapshot/", socketUrl: "/ws/noc/" });
//   feed.addEventListener("snapshot", ({ detail }) => replaceEverything(detail.tickets));
//   feed.addEventListener("event", ({ detail }) => apply(detail.frame)); // rows by the rule of `supersedes`
//   feed.addEventListener("state", ({ detail }) => show(detail.state, detail.since, detail.reason));
//   feed.start();
//
// It knows the protocol and nothing of any page, and needs a browser, or Node 22 and newer.
//
// Note [What is applied]: a client is a place in the log, `epoch` and `last`: everything up to `last` is
// applied, or not ours to see. An event is applied when its `prev` is not beyond `last`, so nothing lies
// between. Else something is missing: the place is sent again, once, and what does not fit is ignored
// until the answer. An answer can be of an older question (the server may answer two at once), so a
// gap counts as closed only when `last` has reached the highest `prev` that showed it. Nothing of one
// socket concerns the next.

// --- what is sent and what is told: types only ----------------------------------------------------

/** @typedef {{type: "hello", session: string, epoch: string, head: number, min_seq: number, scope: {sites: "*" | number[]}, ping_s: number, ack_every: number}} HelloFrame */
/**
 * An event: every frame with `seq` and `prev`, of whatever type. One of a type that is not known here
 * still has its place in the order, and is told like the others.
 * @typedef {{type: string, seq: number, prev: number, epoch: string, event_id: string, replay_of?: number, version?: number, [field: string]: any}} EventFrame
 */
/** @typedef {{type: "synced", seq: number}} SyncedFrame the cursor reached the head: what follows is live */
/** @typedef {{type: "ping", head: number, pos: number, t: string}} PingFrame `pos`: all up to it was sent, or is not ours to see */
/** @typedef {{type: "reset", reason: string, epoch: string, head: number, min_seq: number}} ResetFrame only a new snapshot helps */
/** @typedef {{type: "error", code: string, message: string, temporary: boolean, retry_after_ms?: number}} ErrorFrame */
/** @typedef {{type: "bye", code: number, reason: string, retry_after_ms: number}} ByeFrame the server closes next, with that code */
/** @typedef {{type: "resume", after_seq: number, epoch: string}} ResumeFrame */
/** @typedef {{type: "ack" | "pong", seq: number}} AckFrame */

/** @typedef {{epoch: string, seq: number, tickets: object[]}} Snapshot */

/**
 * - `loading`: there is nothing to show yet
 * - `catching-up`: connected, and not yet at the end of the log
 * - `live`: what is shown is current
 * - `stale`: what is shown was current at `since`; it is being mended
 * - `signed-out`, `stopped`: the feed has ended, as of `since`; `start()` begins anew
 * @typedef {"loading" | "catching-up" | "live" | "stale" | "signed-out" | "stopped"} State
 */
/**
 * Why the state is as it is.
 * - of `loading` and `stale`: `lost` connection or no connection, `silent` server, `unanswered` question,
 *   `draining` server, `slow` client, `rate` of our frames, `overloaded` server, `unavailable` log,
 *   `snapshot` not to be had, `ticket` not to be had, `reset` twice in short time, `hidden` page
 * - of `catching-up`: `gap`, `unreadable` frame, `reset`, `epoch`, `scope`, `moved` to another process, `doubted` by `refresh()`
 * - of `signed-out`: `expired`, `revoked`
 * - of `stopped`: `protocol`, `limit` of connections, `refused`, `asked` for by `stop()`
 * @typedef {"lost" | "silent" | "unanswered" | "draining" | "slow" | "rate" | "overloaded" | "unavailable" | "snapshot" | "ticket" | "hidden" | "gap" | "unreadable" | "reset" | "epoch" | "scope" | "moved" | "doubted" | "expired" | "revoked" | "protocol" | "limit" | "refused" | "asked"} Reason
 */

/** @typedef {{state: State, since: number, reason?: Reason}} StateDetail detail of `state`; `since` in ms like `Date.now()` */
/** @typedef {{frame: EventFrame, live: boolean}} EventDetail detail of `event`; `live` is false while catching up */
/** @typedef {{text: string, cause: unknown}} ProblemDetail detail of `problem`: for a log, the feed mends itself */

/**
 * @typedef {object} FeedOptions
 * @property {string} snapshotUrl  where the snapshot is; 401 and 403 mean signed out
 * @property {string} socketUrl  `ws:`, `wss:`, `http:`, `https:`, or relative to the page
 * @property {string} [accountUrl]  asked when a connect is refused, since a socket does not say why;
 *   without it a client that may not connect keeps trying
 * @property {() => string | Promise<string>} [ticket]  gets a new single-use ticket before each connect, for
 *   clients without the session's cookie; it goes into the subprotocol, never into the address
 * @property {typeof globalThis.fetch} [fetch]  for both addresses; wrap it to add an Authorization header
 * @property {new (url: URL, protocols?: string[]) => WebSocket} [WebSocket]
 * @property {() => number} [now]  the time in ms, as `Date.now`
 * @property {() => number} [random]  as `Math.random`
 * @property {Timers} [timers]
 */
/** @typedef {{setTimeout: (run: () => void, ms: number) => any, clearTimeout: (timer: any) => void}} Timers */
/** @typedef {{now: () => number, random: () => number, later: (run: () => void, ms: number) => any, cancel: (timer: any) => void}} Clock */

// --- figures, in milliseconds unless named otherwise ------------------------------------------------

const BACKOFF_FIRST = 1_000;
const BACKOFF_BASE = 500;
const BACKOFF_MAX = 20_000;
const SLOWER_ATTEMPT = 3; // where the back-off starts when the server said that we are too much
const HEALTHY = 30_000; // a connection that lived this long starts the back-off anew
const HASTY = 5_000; // what sends us round at once does so only once in this time
const REQUEST = 20_000; // for a snapshot, an account or a ticket
const HELLO = 20_000; // from the connect to the first frame
const ANSWER = 30_000; // without an answer and without an event on the way to it
const LONGEST_RETRY = 600_000;
const SILENCE_PINGS = 1.5; // intervals without any frame that make a socket suspect
const TICK = 5_000; // how often silence is looked at: a machine that slept finds out by this
const LATE = 1_000; // a timer that is later than this was held back, and so may frames be
const GRACE = 2_000; // for a suspect socket to be heard
const ACK_AFTER = 5_000;
const ACK_APART = 250; // a client may send 20 frames a second, and catching up is faster than that

/** @typedef {{next: "retry" | "slower" | "now" | "signed-out" | "stopped", reason: Reason}} Closing */
/** @type {Record<number, Closing>} */
const CLOSINGS = {
  4000: { next: "retry", reason: "draining" },
  4001: { next: "now", reason: "moved" },
  4100: { next: "slower", reason: "slow" },
  4101: { next: "slower", reason: "rate" },
  4102: { next: "slower", reason: "overloaded" },
  4400: { next: "stopped", reason: "protocol" },
  4401: { next: "signed-out", reason: "expired" },
  4403: { next: "signed-out", reason: "revoked" },
  4409: { next: "stopped", reason: "limit" },
};
const NO_CODE = new Set([0, 1005, 1006]); // the close came without a frame, or without a code in it
const GONE = Symbol("nobody waits for this request any more");

/**
 * The rule for rows: change one only if the frame is of a later version. Of several frames of one write,
 * which have one version, the first brings the whole row.
 * @param {{version?: number}} frame
 * @param {{version: number} | undefined} row
 */
export const supersedes = (frame, row) => row === undefined || (frame.version ?? 0) > row.version;

// --- the feed ---------------------------------------------------------------------------------------

/**
 * Dispatches `snapshot` (detail {@link Snapshot}), `event` ({@link EventDetail}), `state`
 * ({@link StateDetail}) and `problem` ({@link ProblemDetail}). A listener that throws is reported and
 * stops nothing. An event is acknowledged after its listeners have run.
 */
export class Feed extends EventTarget {
  /** @type {State} */
  state = "loading";
  /** @type {Reason | undefined} */
  reason = undefined;
  since = 0;
  heardAt = 0; // the last frame of any kind

  #options;
  #clock;
  #cursor = new Cursor();
  #backoff = new Backoff();
  #acks;
  #silence; // bites when the server says nothing at all
  #answer; // bites when a question is not answered

  /** @type {AbortController | null} */
  #life = null; // from start to end
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {(reason: Reason) => void} */
  #letGo = () => {};
  /** @type {{done: () => void, dueAt: number, timer: any} | null} */
  #pausing = null;
  /** @type {{abort: AbortController, result: Promise<"loaded" | "failed" | "replaced">} | null} */
  #loading = null;
  /** @type {Set<AbortController>} */
  #requests = new Set();
  /** @type {any} */
  #resumeTimer = undefined;

  #ready = false; // what is applied rests on a snapshot that still counts
  #shown = false; // there was a snapshot
  #currentAt = 0; // when what is shown was last known to be current
  #stale = false; // it was not current any more, and has not become so since
  /** @type {string | null} */
  #scope = null; // under which the present state was built; null: take it from the next hello
  #refused = false; // the last socket never opened
  #notBefore = 0; // the server asked us to wait until then
  #moves = new Repeats();
  #renewals = new Repeats();
  #helloAt = 0;
  /** @type {ByeFrame | null} */
  #bye = null;

  /** @param {FeedOptions} options */
  constructor(options) {
    super();
    this.#options = options;
    const timers = options.timers ?? globalThis;
    this.#clock = {
      now: options.now ?? Date.now,
      random: options.random ?? Math.random,
      later: (/** @type {() => void} */ run, /** @type {number} */ ms) => timers.setTimeout(run, ms),
      cancel: (/** @type {any} */ timer) => timers.clearTimeout(timer),
    };
    this.#acks = new Acks(this.#clock, () => this.#say({ type: "ack", seq: this.#cursor.last }));
    this.#silence = new Watchdog(this.#clock, () => this.#letGo("silent"));
    this.#answer = new Watchdog(this.#clock, () => this.#unanswered());
  }

  /** The place in the log: everything up to it is applied, or not ours to see. */
  get position() {
    return { epoch: this.#cursor.epoch, seq: this.#cursor.last };
  }

  /**
   * Since when what is shown cannot be taken for current, in ms; null while it is current, or about to be for the first
   * time or after a moment. It lasts through all that follows `stale` until the feed is live.
   */
  get staleSince() {
    return this.#stale ? this.#currentAt : null;
  }

  /** Begin, with a new snapshot. While it runs this does nothing. */
  start() {
    if (this.#life) return;
    this.#life = new AbortController();
    this.#stale &&= this.#shown; // what was shown before is still to be seen
    this.#ready = this.#shown = this.#refused = false;
    this.#scope = null;
    this.#notBefore = 0;
    this.#backoff.reset();
    this.since = this.#clock.now();
    if (!this.#stale) this.#currentAt = this.since;
    this.#enter("loading");
    if (!this.#life) return; // a listener stopped it
    this.#followPage(this.#life.signal);
    void this.#run(this.#life.signal);
  }

  /**
   * Take a new snapshot: nothing is missing, and yet what is shown may be wrong. When it cannot be had, all goes on.
   * @returns {boolean} false: not now, since one may be under way or was taken just before
   */
  refresh() {
    if (this.state !== "live" || this.#renewals.isRecent(this.#clock.now())) return false;
    void this.#renew("doubted");
    return true;
  }

  /** End: no connection, timer or request stays behind. */
  stop() {
    this.#end("stopped", "asked");
  }

  // --- attempts, one after the other ----------------------------------------------------------------

  /** @param {AbortSignal} life */
  async #run(life) {
    while (!life.aborted) {
      const wait = await this.#attempt(life);
      if (!life.aborted && wait > 0) await this.#pause(wait);
    }
  }

  /**
   * Get connected and stay so as long as it lasts; return how long to wait before the next time.
   * @param {AbortSignal} life
   */
  async #attempt(life) {
    if (this.#refused) await this.#askAccount();
    if (life.aborted) return 0;
    const loaded = this.#ready || (await this.#load()) === "loaded";
    if (life.aborted) return 0;
    if (!loaded) return this.#failed("snapshot");
    const protocols = await this.#protocols();
    if (life.aborted) return 0;
    if (protocols === null) return this.#failed("ticket");
    const ending = await this.#connected(protocols);
    return life.aborted ? 0 : this.#afterwards(ending);
  }

  /** @param {Reason} reason */
  #failed(reason) {
    this.#lost(reason);
    return this.#delay();
  }

  /** @param {{code: number, reason?: Reason, opened: boolean}} ending */
  #afterwards({ code, reason, opened }) {
    this.#refused = !opened; // by 403 or by the network: a browser does not say
    if (this.#helloAt && this.heardAt - this.#helloAt >= HEALTHY) this.#backoff.reset();
    if (reason) return this.#failed(reason); // it was we who let go
    const closing = closingOf(NO_CODE.has(code) && this.#bye ? this.#bye.code : code);
    switch (closing.next) {
      case "signed-out":
      case "stopped":
        this.#end(closing.next, closing.reason);
        return 0;
      case "now":
        if (this.#moves.hasty(this.#clock.now())) return this.#failed(closing.reason);
        this.#set(this.#shown ? "catching-up" : "loading", closing.reason);
        return 0;
      case "slower":
        this.#backoff.atLeast(SLOWER_ATTEMPT);
    }
    return this.#failed(closing.reason);
  }

  #delay() {
    const asked = Math.max(0, this.#notBefore - this.#clock.now());
    return Math.max(1, asked + this.#backoff.next(this.#clock.random()));
  }

  /** @param {unknown} ms what the server asked for */
  #hold(ms) {
    const asked = typeof ms === "number" && ms > 0 ? Math.min(ms, LONGEST_RETRY) : 0;
    this.#notBefore = Math.max(this.#notBefore, this.#clock.now() + asked);
  }

  /** @param {number} ms */
  #pause(ms) {
    return new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
      const done = () => {
        this.#clock.cancel(this.#pausing?.timer);
        this.#pausing = null;
        resolve();
      };
      this.#pausing = { done, dueAt: this.#clock.now() + ms, timer: this.#clock.later(done, ms) };
    });
  }

  /** The next attempt is worth making now, but not by all pages in the same moment. */
  #soon() {
    const pausing = this.#pausing;
    if (!pausing) return;
    const now = this.#clock.now();
    const ms = Math.max(0, this.#notBefore - now) + this.#clock.random() * BACKOFF_FIRST;
    if (now + ms >= pausing.dueAt) return;
    this.#clock.cancel(pausing.timer);
    pausing.dueAt = now + ms;
    pausing.timer = this.#clock.later(pausing.done, ms);
  }

  // --- requests -------------------------------------------------------------------------------------

  async #askAccount() {
    this.#refused = false;
    const { accountUrl } = this.#options;
    if (!accountUrl) return;
    try {
      const { status, body } = await this.#get(accountUrl);
      if (status === 401 || status === 403) this.#end("signed-out", status === 401 ? "expired" : "revoked");
      else if (status === 200 && body.refused) this.#end("signed-out", "revoked");
    } catch {
      // no answer is no refusal
    }
  }

  /** Take the snapshot, or wait for the one that is under way. */
  #load() {
    if (this.#loading) return this.#loading.result;
    const abort = new AbortController();
    const loading = { abort, result: this.#snapshot(abort) };
    this.#loading = loading;
    void loading.result.then(() => {
      if (this.#loading === loading) this.#loading = null;
    });
    return loading.result;
  }

  /**
   * @param {AbortController} abort
   * @returns {Promise<"loaded" | "failed" | "replaced">}
   */
  async #snapshot(abort) {
    const askedAt = this.#clock.now();
    try {
      const { status, body, retryAfter } = await this.#get(this.#options.snapshotUrl, abort);
      if (abort.signal.aborted) return "replaced";
      if (status === 401 || status === 403) {
        this.#end("signed-out", status === 401 ? "expired" : "revoked");
        return "replaced";
      }
      if (status !== 200) {
        this.#hold(retryAfter * 1000);
        throw new Error(`the snapshot answered ${status}`);
      }
      const snapshot = readSnapshot(body);
      this.#cursor.place(snapshot);
      this.#ready = this.#shown = true;
      this.#currentAt = askedAt;
      this.#tell("snapshot", snapshot);
      return abort.signal.aborted ? "replaced" : "loaded";
    } catch (error) {
      if (abort.signal.reason === GONE) return "replaced";
      this.#problem("The snapshot could not be taken", error);
      return "failed";
    }
  }

  async #protocols() {
    const { ticket } = this.#options;
    if (!ticket) return [];
    try {
      return [`noc.ticket.${await this.#within(async () => ticket())}`];
    } catch (error) {
      this.#problem("There is no ticket for the connection", error);
      this.#refused = true; // the account may say why
      return null;
    }
  }

  /**
   * @param {string} url
   * @param {AbortController} [abort]
   * @returns {Promise<{status: number, body: any, retryAfter: number}>}
   */
  #get(url, abort) {
    const fetch = this.#options.fetch ?? globalThis.fetch;
    return this.#within(async (signal) => {
      const headers = { Accept: "application/json" };
      const response = await fetch(url, { headers, credentials: "same-origin", cache: "no-store", signal });
      const retryAfter = Number(response.headers.get("Retry-After")) || 0; // seconds
      return { status: response.status, body: response.status === 200 ? await response.json() : null, retryAfter };
    }, abort);
  }

  /**
   * Wait for the task as long as a request may take and somebody waits for it.
   * @template T
   * @param {(signal: AbortSignal) => Promise<T>} task
   * @returns {Promise<T>}
   */
  async #within(task, abort = new AbortController()) {
    const timer = this.#clock.later(() => abort.abort(new Error(`no answer within ${REQUEST} ms`)), REQUEST);
    this.#requests.add(abort);
    const aborted = new Promise((_, reject) => {
      abort.signal.addEventListener("abort", () => reject(abort.signal.reason));
    });
    try {
      return /** @type {T} */ (await Promise.race([task(abort.signal), aborted]));
    } finally {
      this.#clock.cancel(timer);
      this.#requests.delete(abort);
    }
  }

  // --- one socket -----------------------------------------------------------------------------------

  #address() {
    const url = new URL(this.#options.socketUrl, globalThis.location?.href);
    if (url.protocol === "http:") url.protocol = "ws:";
    if (url.protocol === "https:") url.protocol = "wss:";
    url.searchParams.set("after_seq", String(this.#cursor.last));
    url.searchParams.set("epoch", this.#cursor.epoch);
    return url;
  }

  /**
   * Connect; return how it ended, when the server closed it or we let go of it. A socket that we let go
   * of may take minutes to close: nobody listens to it any more.
   * @param {string[]} protocols
   * @returns {Promise<{code: number, reason?: Reason, opened: boolean}>}
   */
  #connected(protocols) {
    const Socket = this.#options.WebSocket ?? globalThis.WebSocket;
    this.#bye = null;
    this.#helloAt = 0;
    return new Promise((resolve) => {
      let opened = false;
      /** @type {WebSocket} */
      let socket;
      const left = (/** @type {number} */ code, /** @type {Reason | undefined} */ reason) => {
        if (socket !== this.#socket) return false;
        this.#socket = null;
        this.#silence.stop();
        this.#answer.stop();
        this.#acks.stop();
        this.#clock.cancel(this.#resumeTimer);
        this.#resumeTimer = undefined;
        resolve({ code, reason, opened });
        return true;
      };
      try {
        socket = new Socket(this.#address(), protocols);
      } catch (error) {
        this.#problem("A socket could not be made", error);
        return resolve({ code: 0, reason: "lost", opened: false });
      }
      this.#socket = socket;
      this.#letGo = (reason) => left(0, reason) && socket.close(1000);
      this.#cursor.connected();
      this.#silence.start(HELLO);
      this.#answer.start(ANSWER);
      socket.onopen = () => (opened = true);
      socket.onmessage = ({ data }) => socket === this.#socket && this.#heard(data);
      socket.onerror = () => {}; // the close that follows says as much
      socket.onclose = ({ code }) => left(code, undefined);
    });
  }

  /** @param {unknown} data */
  #heard(data) {
    this.heardAt = this.#clock.now();
    this.#silence.heard();
    let frame;
    try {
      frame = readFrame(data);
    } catch (error) {
      return this.#unreadable(error);
    }
    this.#take(frame);
    if (this.state === "live") this.#currentAt = this.heardAt;
  }

  /** @param {any} frame */
  #take(frame) {
    switch (frame.type) {
      case "hello":
        return this.#hello(frame);
      case "synced":
        return this.#synced(frame);
      case "ping":
        if (this.#ready) this.#cursor.walked(frame.pos);
        this.#acks.said();
        return this.#say({ type: "pong", seq: this.#cursor.last });
      case "reset":
        if (frame.reason === "scope") this.#scope = null;
        return void this.#renew("reset");
      case "error":
        return this.#error(frame);
      case "bye":
        this.#bye = frame;
        return this.#hold(frame.retry_after_ms);
    }
    if ("prev" in frame) this.#event(frame); // other types are those of a newer server
  }

  /** @param {HelloFrame} frame */
  #hello(frame) {
    this.#helloAt = this.#clock.now();
    this.#silence.start(frame.ping_s * 1000 * SILENCE_PINGS);
    this.#answer.heard();
    this.#acks.every = frame.ack_every;
    this.#set("catching-up", this.reason === "moved" ? "moved" : undefined);
    const scope = JSON.stringify(frame.scope);
    const another = this.#scope !== null && this.#scope !== scope;
    this.#scope = scope;
    if (another) void this.#renew("scope");
  }

  /** @param {SyncedFrame} frame */
  #synced(frame) {
    if (!this.#ready) return; // the answer to something older
    switch (this.#cursor.answered(frame.seq)) {
      case "live":
        this.#answer.stop();
        return this.#set("live");
      case "gap":
        return this.#resume("gap");
      case "torn":
        return void this.#renew("unreadable");
    }
  }

  /** @param {EventFrame} frame */
  #event(frame) {
    if (!this.#ready) return this.#cursor.pass(frame);
    switch (this.#cursor.judge(frame)) {
      case "next": {
        const socket = this.#socket;
        this.#tell("event", { frame, live: this.state === "live" });
        if (socket !== this.#socket) return; // a listener stopped the feed
        this.#cursor.applied(frame.seq);
        this.#answer.heard();
        return this.#acks.applied();
      }
      case "gap":
        return this.#resume("gap");
      case "foreign":
        return void this.#renew("epoch");
    }
  }

  /** @param {unknown} error */
  #unreadable(error) {
    this.#problem("A frame could not be read", error);
    if (this.#ready && this.#cursor.torn()) this.#resume("unreadable");
  }

  /** @param {ErrorFrame} frame */
  #error(frame) {
    this.#problem("The server sent an error", frame);
    this.#hold(frame.retry_after_ms);
    this.#answer.heard();
    switch (frame.code) {
      case "bad_cursor":
        return void this.#renew("reset");
      case "unavailable": // it says when it cannot read its log, not when it can: ask
        this.#set("stale", "unavailable");
        return this.#resumeLater();
      case "rate_limited": // the question may be what was dropped
        if (this.#cursor.waits) this.#resumeLater();
    }
  }

  /** @param {Reason} reason */
  #resume(reason) {
    this.#set("catching-up", reason);
    this.#ask();
  }

  #ask() {
    this.#cursor.resumed();
    this.#answer.start(ANSWER);
    this.#say({ type: "resume", after_seq: this.#cursor.last, epoch: this.#cursor.epoch });
  }

  #resumeLater() {
    if (this.#resumeTimer !== undefined) return;
    const ms = Math.max(0, this.#notBefore - this.#clock.now()) + this.#clock.random() * BACKOFF_FIRST;
    this.#resumeTimer = this.#clock.later(() => {
      this.#resumeTimer = undefined;
      if (this.#ready) this.#ask();
    }, ms);
  }

  /** A gap that stays open is closed by a snapshot, after a new connect. */
  #unanswered() {
    if (this.#cursor.gap) this.#ready = false;
    this.#letGo("unanswered");
  }

  /**
   * Take a new snapshot and go on after it, on the same socket if that lasts.
   * @param {Reason} reason
   */
  async #renew(reason) {
    const socket = this.#socket;
    this.#set("catching-up", reason);
    this.#answer.stop();
    if (this.#loading) {
      this.#loading.abort.abort(GONE); // it may be older than what made this necessary
      this.#loading = null;
    } else if (this.#renewals.hasty(this.#clock.now())) {
      this.#ready = false;
      return this.#letGo("reset");
    }
    this.#ready = false;
    const result = await this.#load();
    if (socket !== this.#socket) return; // the next attempt goes on from here
    if (result === "replaced") return;
    if (result === "failed" && reason !== "doubted") return this.#letGo("snapshot");
    this.#ready = true; // what was doubted is no older than before
    this.#ask();
  }

  /** @param {ResumeFrame | AckFrame} frame */
  #say(frame) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  // --- the page around it, where there is one ---------------------------------------------------------

  /** @param {AbortSignal} signal */
  #followPage(signal) {
    const wake = () => {
      this.#silence.check();
      this.#answer.check();
      this.#soon();
    };
    const page = globalThis.document;
    page?.addEventListener("visibilitychange", () => page.hidden || wake(), { signal });
    page?.addEventListener("resume", wake, { signal });
    if (typeof globalThis.addEventListener !== "function") return;
    globalThis.addEventListener("online", wake, { signal });
    globalThis.addEventListener("pageshow", wake, { signal });
    globalThis.addEventListener("pagehide", () => this.#farewell("hidden"), { signal });
  }

  // --- states and tidings -----------------------------------------------------------------------------

  /** @param {Reason} reason */
  #farewell(reason) {
    this.#acks.flush();
    this.#letGo(reason);
  }

  /**
   * @param {State} state
   * @param {Reason} reason
   */
  #end(state, reason) {
    if (!this.#life) return;
    this.#life.abort();
    this.#life = null;
    this.#farewell(reason);
    for (const request of this.#requests) request.abort(GONE);
    this.#loading?.abort.abort(GONE);
    this.#loading = null;
    this.#pausing?.done();
    this.#enter(state, reason);
  }

  /** @param {Reason} reason */
  #lost(reason) {
    this.#set(this.#shown ? "stale" : "loading", reason);
  }

  /**
   * @param {State} state
   * @param {Reason} [reason]
   */
  #set(state, reason) {
    if (this.#life && (state !== this.state || reason !== this.reason)) this.#enter(state, reason);
  }

  /**
   * @param {State} state
   * @param {Reason} [reason]
   */
  #enter(state, reason) {
    if (state !== this.state) {
      const old = state === "stale" || state === "signed-out" || state === "stopped";
      this.since = old ? this.#currentAt : this.#clock.now();
    }
    if (state === "live") this.#currentAt = this.#clock.now();
    if (state !== "loading" && state !== "catching-up") this.#stale = state !== "live";
    this.state = state;
    this.reason = reason;
    this.#tell("state", { state, since: this.since, reason });
  }

  /**
   * @param {string} text
   * @param {unknown} cause
   */
  #problem(text, cause) {
    if (this.#life) this.#tell("problem", { text, cause });
  }

  /**
   * @param {string} type
   * @param {object} detail
   */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /**
   * As everywhere, but what a listener throws is reported here: elsewhere it would end a Node process.
   * @param {string} type
   * @param {any} listener
   * @param {any} [options]
   */
  addEventListener(type, listener, options) {
    super.addEventListener(type, guarded(listener), options);
  }

  /**
   * @param {string} type
   * @param {any} listener
   * @param {any} [options]
   */
  removeEventListener(type, listener, options) {
    super.removeEventListener(type, guarded(listener), options);
  }
}

// --- the place in the log: Note [What is applied] -----------------------------------------------------

class Cursor {
  epoch = "";
  last = 0;
  waits = false; // a question is not answered yet
  #asked = false; // it is a `resume` of this socket
  #fits = false; // an event fitted after the question
  #torn = false; // something came after the question that cannot be applied
  #gapTo = 0; // the highest `prev` that was seen; beyond `last` it shows a gap
  #passed = { epoch: "", seq: 0 }; // the highest event that came while a snapshot was awaited

  get gap() {
    return this.last < this.#gapTo || this.#torn;
  }

  /** A new socket was asked for, with our place. */
  connected() {
    this.waits = true;
    this.#asked = this.#fits = this.#torn = false;
    this.#gapTo = 0;
    this.#passed = { epoch: "", seq: 0 };
  }

  /** Our place was sent on the same socket. */
  resumed() {
    this.waits = this.#asked = true;
    this.#fits = this.#torn = false;
  }

  /**
   * Stand where a snapshot does. What was passed over beyond it is a gap.
   * @param {Snapshot} snapshot
   */
  place({ epoch, seq }) {
    this.epoch = epoch;
    this.last = seq;
    this.#torn = false;
    this.#gapTo = this.#passed.epoch === epoch ? this.#passed.seq : 0;
  }

  /**
   * @param {EventFrame} frame
   * @returns {"next" | "double" | "gap" | "old" | "foreign"}
   */
  judge(frame) {
    if (frame.epoch !== this.epoch) {
      if (!this.waits) return "foreign";
      this.#torn = true; // the answer must tell of another log
      return "old";
    }
    if (frame.seq <= this.last) return "double";
    if (frame.prev <= this.last) return "next";
    this.#gapTo = Math.max(this.#gapTo, frame.prev);
    return this.#asked ? "old" : "gap";
  }

  /** @param {number} seq */
  applied(seq) {
    this.last = seq;
    this.#fits = true;
  }

  /** @param {EventFrame} frame */
  pass({ epoch, seq }) {
    if (epoch !== this.#passed.epoch || seq > this.#passed.seq) this.#passed = { epoch, seq };
  }

  /**
   * The server walked to there. With a question under way it may have walked from another place.
   * @param {number} seq
   */
  walked(seq) {
    if (!this.waits && !this.gap) this.last = Math.max(this.last, seq);
  }

  /**
   * @param {number} seq
   * @returns {"live" | "gap" | "old" | "torn"}
   */
  answered(seq) {
    if (this.#torn) return "torn";
    if (this.last < this.#gapTo) return this.#fits ? "gap" : "old";
    this.waits = this.#asked = false;
    this.last = Math.max(this.last, seq);
    return "live";
  }

  /** Something cannot be applied. Return whether to ask for it again. */
  torn() {
    this.#torn = this.waits;
    return !this.waits;
  }
}

// --- silence ------------------------------------------------------------------------------------------

/**
 * Bites when nothing is heard for the limit. Silence is measured by the clock, not by the timer: a hidden
 * tab's timers fire once a minute, and none fire while a machine sleeps. And what was sent in that time
 * may be read only after the timer has fired, so a suspect gets a grace first, and another one if
 * the first was held back as well.
 */
class Watchdog {
  #clock;
  #bite;
  #limit = 0;
  #heardAt = 0;
  #dueAt = 0;
  #graces = 0;
  /** @type {any} */
  #timer = undefined;

  /**
   * @param {Clock} clock
   * @param {() => void} bite
   */
  constructor(clock, bite) {
    this.#clock = clock;
    this.#bite = bite;
  }

  /** @param {number} limit in ms */
  start(limit) {
    this.#limit = limit;
    this.heard();
    this.#look();
  }

  heard() {
    this.#heardAt = this.#clock.now();
    this.#graces = 0;
  }

  /** Look now: timers may have been held back. */
  check() {
    if (this.#timer === undefined) return;
    this.#graces = 0;
    this.#look();
  }

  stop() {
    this.#clock.cancel(this.#timer);
    this.#timer = undefined;
  }

  #look() {
    const now = this.#clock.now();
    const late = now - this.#dueAt > LATE;
    this.#heardAt = Math.min(this.#heardAt, now); // the clock may be set back
    const left = this.#heardAt + this.#limit - now;
    if (left > 0) return this.#arm(Math.min(TICK, left));
    if (this.#graces === 0 || (this.#graces === 1 && late)) {
      this.#graces += 1;
      return this.#arm(GRACE);
    }
    this.stop();
    this.#bite();
  }

  /** @param {number} ms */
  #arm(ms) {
    this.#clock.cancel(this.#timer);
    this.#dueAt = this.#clock.now() + ms;
    this.#timer = this.#clock.later(() => this.#look(), ms);
  }
}

// --- acknowledgements -----------------------------------------------------------------------------------

/** Cumulative: sent after `every` events or some seconds, and never two in quick succession. */
class Acks {
  every = 50;
  #clock;
  #send;
  #count = 0;
  #sentAt = 0;
  /** @type {any} */
  #timer = undefined;

  /**
   * @param {Clock} clock
   * @param {() => void} send
   */
  constructor(clock, send) {
    this.#clock = clock;
    this.#send = send;
  }

  applied() {
    this.#count += 1;
    if (this.#count === this.every) {
      const since = this.#clock.now() - this.#sentAt;
      if (since < 0 || since >= ACK_APART) return this.flush();
      this.#arm(ACK_APART - since);
    } else if (this.#timer === undefined) {
      this.#arm(ACK_AFTER);
    }
  }

  /** Send what is not sent yet. */
  flush() {
    if (this.#count === 0) return;
    this.said();
    this.#send();
  }

  /** Another frame said it. */
  said() {
    this.stop();
    this.#sentAt = this.#clock.now();
  }

  stop() {
    this.#clock.cancel(this.#timer);
    this.#timer = undefined;
    this.#count = 0;
  }

  /** @param {number} ms */
  #arm(ms) {
    this.#clock.cancel(this.#timer);
    this.#timer = this.#clock.later(() => this.flush(), ms);
  }
}

// --- back-off -------------------------------------------------------------------------------------------

/** Full jitter: after an outage the browsers of a whole shift must not come back in step. */
class Backoff {
  #attempt = 0;

  /**
   * Return how long to wait, in ms.
   * @param {number} random from 0 to 1
   */
  next(random) {
    const range = this.#attempt === 0 ? BACKOFF_FIRST : Math.min(BACKOFF_MAX, BACKOFF_BASE * 2 ** this.#attempt);
    this.#attempt += 1;
    return random * range;
  }

  /** @param {number} attempt */
  atLeast(attempt) {
    this.#attempt = Math.max(this.#attempt, attempt);
  }

  reset() {
    this.#attempt = 0;
  }
}

/** What is done at once when asked for is not done so twice in short time. */
class Repeats {
  #at = -Infinity;

  /**
   * Tell whether it was done a short time ago, and that it is done now.
   * @param {number} now
   */
  hasty(now) {
    const hasty = this.isRecent(now);
    this.#at = now;
    return hasty;
  }

  /** @param {number} now */
  isRecent(now) {
    return now - this.#at < HASTY;
  }
}

/**
 * @param {number} code
 * @returns {Closing}
 */
function closingOf(code) {
  if (Object.hasOwn(CLOSINGS, code)) return CLOSINGS[code];
  return code >= 4400 && code < 4500 ? { next: "stopped", reason: "refused" } : { next: "retry", reason: "lost" };
}

// --- reading what comes ---------------------------------------------------------------------------------

const isPlace = (/** @type {unknown} */ value) => Number.isSafeInteger(value) && Number(value) >= 0;

/** @type {Record<string, (frame: any) => boolean>} what the feed relies on, by type */
const WHOLE = {
  hello: (frame) => frame.ping_s > 0 && frame.ack_every > 0,
  synced: (frame) => isPlace(frame.seq),
  ping: (frame) => isPlace(frame.pos),
  reset: () => true,
  error: () => true,
  bye: () => true,
};

/**
 * Return the frame, or throw what is wrong with it.
 * @param {unknown} data
 */
function readFrame(data) {
  if (typeof data !== "string") throw new TypeError("not a text frame");
  const frame = JSON.parse(data);
  if (typeof frame?.type !== "string") throw new TypeError(`no frame: ${data.slice(0, 200)}`);
  const whole = Object.hasOwn(WHOLE, frame.type)
    ? WHOLE[frame.type](frame)
    : !("prev" in frame) || (isPlace(frame.seq) && isPlace(frame.prev) && typeof frame.epoch === "string");
  if (!whole) throw new TypeError(`not a whole frame: ${data.slice(0, 200)}`);
  return frame;
}

/**
 * @param {any} body
 * @returns {Snapshot}
 */
function readSnapshot(body) {
  if (typeof body?.epoch === "string" && isPlace(body.seq) && Array.isArray(body.tickets)) return body;
  throw new TypeError("the snapshot has no epoch, seq and tickets");
}

// --- listeners --------------------------------------------------------------------------------------------

/** @param {unknown} error */
function report(error) {
  if (typeof globalThis.reportError === "function") globalThis.reportError(error);
  else console.error(error);
}

/** @type {WeakMap<object, (event: Event) => void>} */
const guards = new WeakMap();

/**
 * Return the listener with its errors reported; the same each time, so that it can be removed.
 * @param {any} listener
 */
function guarded(listener) {
  if (!listener) return listener;
  let guard = guards.get(listener);
  if (!guard) {
    guard = (event) => {
      try {
        const handle = typeof listener === "function" ? listener : listener.handleEvent;
        const result = handle.call(typeof listener === "function" ? event.currentTarget : listener, event);
        if (typeof result?.then === "function") result.then(undefined, report);
      } catch (error) {
        report(error);
      }
    };
    guards.set(listener, guard);
  }
  return guard;
}
