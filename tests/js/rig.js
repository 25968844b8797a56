// A feed against a scripted server, with a clock of the test's.

import assert from "node:assert/strict";

import { Feed } from "../../apps/noc/static/noc/noc-feed.js";
import { Clock } from "./clock.js";
import { ScriptedServer } from "./scripted_server.js";

export class Rig {
  clock = new Clock();
  random = 0.5;
  #draws = 0; // of random numbers
  #seenDraws = 0;
  told = []; // every event of the feed as [type, detail]
  #looks = new Set();

  /** Begins when the test begins it; the test's end stops everything. */
  static async make(test, options = {}) {
    const rig = new Rig();
    rig.server = await ScriptedServer.start();
    const { now, timers } = rig.clock;
    rig.feed = new Feed({ ...rig.server.addresses, now, timers, random: () => rig.#draw(), ...options });
    for (const type of ["snapshot", "event", "state", "problem"]) {
      rig.feed.addEventListener(type, ({ detail }) => {
        rig.told.push([type, detail]);
        for (const look of [...rig.#looks]) look();
      });
    }
    test.after(() => {
      rig.feed.stop();
      return rig.server.stop();
    });
    return rig;
  }

  /** Connected and live at `seq`; returns the server's side of the socket. */
  static async live(test, { seq = 10, hello = {}, ...options } = {}) {
    const rig = await Rig.make(test, options);
    rig.server.seq = seq;
    rig.feed.start();
    const client = await rig.server.client();
    client.send(rig.server.hello(hello), { type: "synced", seq });
    await rig.state("live");
    return { rig, client, server: rig.server, feed: rig.feed, clock: rig.clock };
  }

  /** The numbers of the events that were told, in their order. */
  get seqs() {
    return this.told.filter(([type]) => type === "event").map(([, { frame }]) => frame.seq);
  }

  /** The states that were told, as `state` or `state reason`. */
  get states() {
    return this.told.filter(([type]) => type === "state").map(([, { state, reason }]) => (reason ? `${state} ${reason}` : state));
  }

  get problems() {
    return this.told.filter(([type]) => type === "problem").map(([, { text }]) => text);
  }

  count(type) {
    return this.told.filter(([told]) => told === type).length;
  }

  /** Wait until something that the feed tells makes it so. */
  until(met) {
    if (met()) return Promise.resolve();
    return new Promise((resolve) => {
      const look = () => {
        if (!met()) return;
        this.#looks.delete(look);
        resolve();
      };
      this.#looks.add(look);
    });
  }

  state(state, reason) {
    return this.until(() => this.feed.state === state && (reason === undefined || this.feed.reason === reason));
  }

  /** The state is this one, and nothing that is ready to run changes it. */
  async still(state) {
    await turn();
    assert.equal(this.feed.state, state);
  }

  event(seq) {
    return this.until(() => this.seqs.includes(seq));
  }

  problem(text) {
    return this.until(() => this.problems.some((told) => told.includes(text)));
  }

  /** Wait until the feed has read everything that was sent to it before, and answered. */
  async settled(client) {
    client.send(this.server.ping(0));
    for (;;) {
      const frame = await client.next();
      if (frame.type === "pong") return frame.seq;
      this.overheard.push(frame);
    }
  }

  overheard = []; // what the client said before the pong

  /** Let the time until the next attempt pass, and return how long it was. */
  async retry() {
    const ms = await this.pause();
    this.clock.advance(ms);
    return ms;
  }

  /** How long the feed waits before its next attempt, once it waits: it draws a number for each wait. */
  async pause() {
    const giveUpAt = Date.now() + 5_000;
    while (this.#draws === this.#seenDraws) {
      if (Date.now() > giveUpAt) throw new Error("the feed waits for no attempt");
      await turn();
    }
    this.#seenDraws = this.#draws;
    await turn();
    return this.clock.next;
  }

  #draw() {
    this.#draws += 1;
    return this.random;
  }
}

/** Let everything that is ready run. */
export const turn = () => new Promise((resolve) => setImmediate(resolve));
