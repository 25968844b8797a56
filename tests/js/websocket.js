// The server's side of one websocket (RFC 6455) on a raw socket: text, ping, close, and nothing else.

import { createHash } from "node:crypto";

const TEXT = 0x1;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;

/** The answer to an upgrade; `protocol` is the subprotocol that the server takes. */
export function handshake(key, protocol) {
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  const lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${accept}`];
  if (protocol) lines.push(`Sec-WebSocket-Protocol: ${protocol}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** Takes the bytes that a client sends; calls `text(string)` and `closed(code)`. */
export class Wire {
  #socket;
  #bytes = Buffer.alloc(0);
  #parts = [];
  #on;

  constructor(socket, on) {
    this.#socket = socket;
    this.#on = on;
    socket.on("data", (bytes) => this.#take(bytes));
    socket.on("error", () => {}); // the close that follows says as much
  }

  text(text) {
    this.#send(TEXT, Buffer.from(text));
  }

  close(code, reason = "") {
    this.#send(CLOSE, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]));
  }

  #send(opcode, payload) {
    if (!this.#socket.writable) return;
    const long = payload.length > 65535;
    const head = Buffer.alloc(payload.length < 126 ? 2 : long ? 10 : 4);
    head[0] = 0x80 | opcode;
    head[1] = payload.length < 126 ? payload.length : long ? 127 : 126;
    if (long) head.writeBigUInt64BE(BigInt(payload.length), 2);
    else if (payload.length > 125) head.writeUInt16BE(payload.length, 2);
    this.#socket.write(Buffer.concat([head, payload]));
  }

  #take(bytes) {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    for (let frame = this.#next(); frame; frame = this.#next()) this.#frame(frame);
  }

  #next() {
    const bytes = this.#bytes;
    if (bytes.length < 2) return null;
    const short = bytes[1] & 0x7f;
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (bytes.length < head + 4) return null;
    const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if (bytes.length < head + 4 + length) return null;
    const mask = bytes.subarray(head, head + 4);
    const payload = Buffer.from(bytes.subarray(head + 4, head + 4 + length)).map((byte, at) => byte ^ mask[at % 4]);
    this.#bytes = bytes.subarray(head + 4 + length);
    return { last: Boolean(bytes[0] & 0x80), opcode: bytes[0] & 0x0f, payload };
  }

  #frame({ last, opcode, payload }) {
    if (opcode === CLOSE) {
      const code = payload.length > 1 ? payload.readUInt16BE(0) : 1005;
      this.#on.closed(code);
      if (this.#socket.writable) this.#send(CLOSE, payload.subarray(0, 2));
      return this.#socket.end();
    }
    if (opcode === PING) return this.#send(PONG, payload);
    if (opcode === PONG) return;
    this.#parts.push(payload);
    if (!last) return;
    const text = Buffer.concat(this.#parts).toString();
    this.#parts = [];
    this.#on.text(text);
  }
}
