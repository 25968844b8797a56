// The client of the feed: snapshot, then every event after it, in order and once.
// It knows the protocol and nothing of the page. Events it dispatches:
//   snapshot {tickets}      replace everything
//   event {frame, live}     apply one frame
//   state {state, since}    loading | catching-up | live | stale | signed-out | stopped
//   trouble {text}          something to tell the operator; "" when it is over

const BACKOFF_FIRST_MS = 1000;
const BACKOFF_BASE_MS = 500;
const BACKOFF_MAX_MS = 20000;
const HEALTHY_MS = 30000; // a connection that lived this long starts the back-off anew
const ACK_MS = 5000;
const SIGNED_OUT = new Set([4401, 4403]);
const STOP = new Set([4400, 4409]);

const get = (url) =>
  fetch(url, {
    headers: { Accept: "application/json" },
    credentials: "same-origin",
    cache: "no-store",
    signal: AbortSignal.timeout(20000),
  });

export class Feed extends EventTarget {
  #socket = null;
  #last = 0; // everything up to here is applied, or not ours to see
  #epoch = "";
  #ready = false; // a snapshot was taken, #last and #epoch say where it ends
  #pending = 0; // cursors sent and not yet answered by synced or reset
  #gap = false; // frames are missing; their resume is under way
  #resetting = false;
  #attempt = 0;
  #retryAfterMs = 0;
  #timer = 0;
  #watchdog = 0;
  #ackTimer = 0;
  #unacked = 0;
  #ackEvery = 50;
  #silenceMs = 35000;
  #refused = false; // the last socket never opened
  #ended = false;

  constructor({ snapshotUrl, socketUrl, accountUrl }) {
    super();
    this.accountUrl = accountUrl;
    this.snapshotUrl = snapshotUrl;
    this.socketUrl = socketUrl;
    this.contactAt = 0; // when the server was last heard
    this.eventAt = 0; // when the last event came
    this.state = "loading";
    addEventListener("online", () => this.#soon());
    addEventListener("pagehide", () => this.#socket?.close());
    addEventListener("pageshow", (event) => event.persisted && this.#soon());
    document.addEventListener("visibilitychange", () => document.hidden || this.#soon());
  }

  async start() {
    clearTimeout(this.#timer);
    if (this.#refused && (await this.#signedOut())) return this.#end("signed-out");
    if (!this.#ready && !(await this.#snapshot())) return this.#retry();
    this.#connect();
  }

  async #signedOut() {
    this.#refused = false;
    try {
      const response = await get(this.accountUrl);
      if (response.status === 401 || response.status === 403) return true;
      return response.ok && (await response.json()).refused !== null;
    } catch {
      return false; // no answer is no refusal
    }
  }

  async #snapshot() {
    try {
      const response = await get(this.snapshotUrl);
      if (response.status === 401 || response.status === 403) return this.#end("signed-out");
      if (!response.ok) throw new Error(`The snapshot answered ${response.status}`);
      const { epoch, seq, tickets } = await response.json();
      this.#epoch = epoch;
      this.#last = seq;
      this.#ready = true;
      this.#emit("snapshot", { tickets });
      return true;
    } catch (error) {
      this.#emit("trouble", { text: "The tickets could not be loaded. Trying again." });
      console.warn(error);
      return false;
    }
  }

  #connect() {
    const url = new URL(this.socketUrl, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.searchParams.set("after_seq", this.#last);
    url.searchParams.set("epoch", this.#epoch);
    const socket = new WebSocket(url);
    const openedAt = performance.now();
    let opened = false;
    this.#socket = socket;
    this.#pending = 1;
    this.#gap = this.#resetting = false;
    this.#retryAfterMs = 0;
    this.#watch();
    socket.onopen = () => {
      opened = true;
      this.#set("catching-up");
    };
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      this.contactAt = Date.now();
      this.#watch();
      this.#take(JSON.parse(data));
    };
    socket.onclose = ({ code }) => {
      if (socket !== this.#socket) return;
      this.#socket = null;
      clearTimeout(this.#watchdog);
      if (performance.now() - openedAt > HEALTHY_MS) this.#attempt = 0;
      if (SIGNED_OUT.has(code)) return this.#end("signed-out");
      if (STOP.has(code)) return this.#end("stopped");
      this.#set("stale");
      if (code === 4001) return this.#connect();
      this.#refused = !opened; // by 403 or by the network: the browser does not say
      this.#retry();
    };
  }

  #take(frame) {
    switch (frame.type) {
      case "hello":
        this.#silenceMs = frame.ping_s * 1500 + 5000;
        this.#ackEvery = frame.ack_every;
        return;
      case "synced":
        return this.#answered(frame.seq);
      case "ping":
        if (this.#pending === 0) this.#last = Math.max(this.#last, frame.pos);
        return this.#say({ type: "pong", seq: this.#last });
      case "reset":
        return this.#reset();
      case "error":
        if (frame.code === "unavailable") this.#emit("trouble", { text: "The server cannot read its log. Events will follow." });
        return console.warn("feed", frame);
      case "bye":
        this.#retryAfterMs = frame.retry_after_ms ?? 0;
        return;
    }
    if (typeof frame.seq === "number") this.#event(frame);
  }

  #event(frame) {
    if (this.#resetting || frame.epoch !== this.#epoch || frame.seq <= this.#last) return;
    if (frame.prev > this.#last) {
      if (!this.#gap) {
        this.#gap = true;
        this.#resume();
      }
      return;
    }
    this.#last = frame.seq;
    this.eventAt = Date.now();
    this.#emit("event", { frame, live: this.state === "live" });
    this.#ack();
  }

  #answered(seq) {
    this.#pending = Math.max(0, this.#pending - 1);
    if (this.#pending > 0 || this.#resetting) return; // the answer to something older
    this.#gap = false;
    this.#last = Math.max(this.#last, seq);
    this.#set("live");
    this.#emit("trouble", { text: "" });
  }

  async #reset() {
    this.#pending = Math.max(0, this.#pending - 1);
    if (this.#resetting) return;
    this.#resetting = true;
    this.#set("catching-up");
    const socket = this.#socket;
    const loaded = await this.#snapshot();
    if (socket !== this.#socket) return;
    this.#resetting = this.#gap = false;
    if (loaded) this.#resume();
    else socket?.close();
  }

  #resume() {
    this.#pending += 1;
    this.#set("catching-up");
    this.#say({ type: "resume", after_seq: this.#last, epoch: this.#epoch });
  }

  #ack() {
    this.#unacked += 1;
    if (this.#unacked >= this.#ackEvery) return this.#sendAck();
    this.#ackTimer ||= setTimeout(() => this.#sendAck(), ACK_MS);
  }

  #sendAck() {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = this.#unacked = 0;
    this.#say({ type: "ack", seq: this.#last });
  }

  #say(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  // A half-open connection says nothing at all: pings tell it from a quiet tenant.
  #watch() {
    clearTimeout(this.#watchdog);
    const socket = this.#socket;
    this.#watchdog = setTimeout(() => {
      if (socket !== this.#socket || socket === null) return;
      this.#socket = null;
      socket.close();
      this.#set("stale");
      this.#retry();
    }, this.#silenceMs);
  }

  // Full jitter: after an outage the browsers of a whole shift must not come back in step.
  #retry() {
    if (this.#ended) return;
    const range = this.#attempt === 0 ? BACKOFF_FIRST_MS : Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** this.#attempt);
    this.#attempt += 1;
    this.#later(this.#retryAfterMs + Math.random() * range);
  }

  #soon() {
    if (this.#socket === null && !this.#ended && this.state === "stale") this.#later(Math.random() * BACKOFF_FIRST_MS);
  }

  #later(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.start(), ms);
  }

  #end(state) {
    this.#ended = true;
    this.#socket?.close();
    this.#set(state);
    return false;
  }

  #set(state) {
    if (this.#ended && state !== "signed-out" && state !== "stopped") return;
    if (state === this.state) return;
    this.state = state;
    this.#emit("state", { state, since: this.contactAt || Date.now() });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
