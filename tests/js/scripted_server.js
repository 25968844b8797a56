// A server that says what the test says: snapshot and account over HTTP, the feed over real websockets.

import { appendFileSync } from "node:fs";
import { createServer } from "node:http";

import { Wire, handshake } from "./websocket.js";

const RECORD = process.env.NOC_FRAMES_FILE; // every frame as a line {"direction", "frame"}

function record(direction, text, wrong = false) {
  if (!RECORD) return;
  let frame = text;
  try {
    frame = JSON.parse(text);
  } catch {
    wrong = true;
  }
  appendFileSync(RECORD, `${JSON.stringify({ direction, frame, ...(wrong && { wrong }) })}\n`);
}

/** Values that come one by one, for who waits for them. */
class Arrivals {
  #here = [];
  #waiting = [];

  add(value) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(value);
    else this.#here.push(value);
  }

  next() {
    return this.#here.length ? Promise.resolve(this.#here.shift()) : new Promise((resolve) => this.#waiting.push(resolve));
  }

  get count() {
    return this.#here.length;
  }
}

/** One client's socket. */
class Client {
  #socket;
  #wire;
  #frames = new Arrivals();
  #closings = new Arrivals();

  constructor(socket, request, url) {
    this.#socket = socket;
    this.query = url.searchParams;
    this.protocol = request.headers["sec-websocket-protocol"];
    socket.write(handshake(request.headers["sec-websocket-key"], this.protocol));
    this.#wire = new Wire(socket, {
      text: (text) => {
        record("client", text);
        this.#frames.add(JSON.parse(text));
      },
      closed: (code) => this.#closings.add(code),
    });
    socket.on("close", () => this.#closings.add(1006));
  }

  send(...frames) {
    for (const frame of frames) {
      const text = JSON.stringify(frame);
      record("server", text);
      this.#wire.text(text);
    }
  }

  /** Send what no server should: a frame that breaks the protocol, or text that is none. */
  sendWrong(...frames) {
    for (const frame of frames) {
      const text = typeof frame === "string" ? frame : JSON.stringify(frame);
      record("server", text, true);
      this.#wire.text(text);
    }
  }

  /** The client's next frame. */
  next() {
    return this.#frames.next();
  }

  /** How many frames of the client have come that nobody took. */
  get unread() {
    return this.#frames.count;
  }

  /** The code with which the client closed, 1006 without one. */
  closed() {
    return this.#closings.next();
  }

  /** Close with this code; what the frame before says is the test's affair. */
  close(code, reason) {
    this.#wire.close(code, reason);
  }

  bye(code, { reason = "scripted", retry_after_ms = 0, wrong = false } = {}) {
    const frame = { type: "bye", code, reason, retry_after_ms };
    if (wrong) this.sendWrong(frame);
    else this.send(frame);
    this.close(code, reason);
  }

  /** End the TCP connection without a word. */
  cut() {
    this.#socket.destroy();
  }

  /** Answer nothing and read nothing any more, and keep the connection: as when a cable is pulled. */
  freeze() {
    this.#socket.pause();
    this.#wire.text = this.#wire.close = () => {};
  }
}

export class ScriptedServer {
  #http = createServer((request, response) => this.#answer(request, response));
  #clients = new Arrivals();
  #sockets = new Set();

  epoch = "11111111-1111-4111-8111-111111111111";
  seq = 0; // of the next snapshot
  tickets = [];
  snapshots = 0; // requests for it
  accounts = 0;
  refuses = false; // whether connects are refused before they are accepted
  /** Replace these to answer otherwise; `null` never answers. */
  snapshot = async () => ({ status: 200, body: { epoch: this.epoch, seq: this.seq, tickets: this.tickets } });
  account = async () => ({ status: 200, body: { refused: null } });

  static async start() {
    const server = new ScriptedServer();
    server.#http.on("upgrade", (request, socket) => server.#upgrade(request, socket));
    server.#http.on("connection", (socket) => {
      server.#sockets.add(socket);
      socket.on("close", () => server.#sockets.delete(socket));
    });
    await new Promise((resolve) => server.#http.listen(0, "127.0.0.1", resolve));
    server.url = `http://127.0.0.1:${server.#http.address().port}`;
    return server;
  }

  async stop() {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  get addresses() {
    return { snapshotUrl: `${this.url}/snapshot/`, socketUrl: `${this.url}/ws/`, accountUrl: `${this.url}/me/` };
  }

  /** The next client that connects. */
  client() {
    return this.#clients.next();
  }

  /** How many clients have connected that nobody took. */
  get unmet() {
    return this.#clients.count;
  }

  hello({ head = this.seq, sites = "*", ping_s = 20, ack_every = 50 } = {}) {
    return { type: "hello", session: "22222222-2222-4222-8222-222222222222", epoch: this.epoch, head, min_seq: 1, scope: { sites }, ping_s, ack_every };
  }

  /** The event `seq` of a ticket, after `prev`. */
  event(seq, { prev = seq - 1, epoch = this.epoch, ...others } = {}) {
    const event_id = `33333333-3333-4333-8333-${String(seq).padStart(12, "0")}`;
    return { type: "ticket_updated", seq, prev, epoch, event_id, ...TICKET, version: seq, ...others };
  }

  ping(pos, head = pos) {
    return { type: "ping", head, pos, t: "2026-01-01T00:00:00Z" };
  }

  reset(reason, { head = this.seq } = {}) {
    return { type: "reset", reason, epoch: this.epoch, head, min_seq: 1 };
  }

  async #answer(request, response) {
    const account = request.url.startsWith("/me/");
    if (account) this.accounts += 1;
    else this.snapshots += 1;
    const { status, body, headers = {} } = await (account ? this.account() : this.snapshot());
    response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(body ?? {}));
  }

  #upgrade(request, socket) {
    socket.on("error", () => {});
    if (this.refuses) return socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    this.#clients.add(new Client(socket, request, new URL(request.url, this.url)));
  }
}

const TICKET = {
  ticket_id: 7,
  ticket_no: "INC0000007",
  old_status: "NEW",
  new_status: "IN_PROGRESS",
  priority: "HIGH",
  assigned_to: null,
  site_id: 3,
  site_name: "North",
  description: "No carrier",
  updated_at: "2026-01-01T00:00:00Z",
};
