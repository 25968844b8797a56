// Requests to the API of this server, with the session's cookie or a token; errors as problem+json.

const LIMIT_MS = 25_000; // the server may work at a write of many tickets for 20 s

/** @typedef {{status: number, detail: string, [member: string]: any}} ProblemMembers */

/** What the server refused, or that it did not answer (`status` 0). The message can be shown. */
export class HttpProblem extends Error {
  /** @param {ProblemMembers} members */
  constructor(members) {
    super(members.detail);
    this.name = "HttpProblem";
    this.status = members.status;
    this.members = members;
  }

  /** Why a write of a user's was not done, and what they can do about it. */
  get words() {
    const { retry_after: seconds } = this.members;
    switch (this.status) {
      case 0:
        return "The server does not answer. If it has taken it all the same, the page will show it.";
      case 401:
        return "Your session has ended: sign in in another tab, then try again.";
      case 403:
        return `You may not do this. ${this.message}`;
      case 429:
        return seconds ? `Too many requests: wait ${seconds} s.` : "Too many requests: wait a little.";
    }
    return this.status >= 500 ? `The server failed (${this.status}).` : this.message;
  }
}

export class Http {
  #token;
  #base;
  #limitMs;

  /** @param {{base?: string, token?: string | null, limitMs?: number}} [options] `token`: instead of the session */
  constructor({ base = "/api/v1/", token = null, limitMs = LIMIT_MS } = {}) {
    this.#base = base;
    this.#limitMs = limitMs;
    this.#token = token;
  }

  /** Like `fetch`, with what signs in. It has no limit of time but its caller's. @type {typeof globalThis.fetch} */
  fetch = (input, init = {}) => {
    const headers = new Headers(init.headers);
    if (this.#token) headers.set("Authorization", `Token ${this.#token}`);
    else if (init.method && init.method !== "GET") headers.set("X-CSRFToken", cookie("csrftoken"));
    return fetch(input, { ...init, headers, credentials: this.#token ? "omit" : "same-origin" });
  };

  /**
   * @param {string} path  below /api/v1/
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<any>}
   * @throws {HttpProblem}
   */
  get(path, options = {}) {
    return this.#ask(path, { method: "GET", ...options });
  }

  /**
   * A write. It carries an Idempotency-Key, and is sent once more when the connection broke before an answer came. Both
   * times together have the limit of one request: until then the page shows what may never have been sent.
   * @param {"POST" | "PATCH" | "DELETE"} method
   * @param {string} path  below /api/v1/
   * @param {unknown} [body]  sent as JSON
   * @param {string} [key]  that of an earlier call, to repeat it and have it done once
   * @returns {Promise<any>} null when the answer has no body
   * @throws {HttpProblem}
   */
  async write(method, path, body, key = crypto.randomUUID()) {
    /** @type {RequestInit} */
    const request = { method, headers: { "Content-Type": "application/json", "Idempotency-Key": key }, body: body === undefined ? undefined : JSON.stringify(body) };
    const limit = AbortSignal.timeout(this.#limitMs);
    try {
      return await this.#ask(path, request, limit);
    } catch (error) {
      if (!(error instanceof HttpProblem) || error.status !== 0 || limit.aborted) throw error;
      return this.#ask(path, request, limit);
    }
  }

  /**
   * @param {string} path
   * @param {RequestInit} request
   */
  async #ask(path, request, limit = AbortSignal.timeout(this.#limitMs)) {
    const signal = request.signal ? AbortSignal.any([request.signal, limit]) : limit;
    let answer, text;
    try {
      answer = await this.fetch(new URL(path, new URL(this.#base, location.href)), { ...request, signal });
      text = await answer.text();
    } catch (error) {
      if (request.signal?.aborted) throw error;
      throw new HttpProblem({ status: 0, detail: "The server does not answer." });
    }
    const read = parsed(text);
    if (answer.ok) return read;
    const members = read !== null && typeof read === "object" ? read : {};
    const retry = Number(answer.headers.get("Retry-After")); // seconds
    throw new HttpProblem({ detail: `The server answered ${answer.status}.`, ...(retry && { retry_after: retry }), ...members, status: answer.status });
  }
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** @param {string} name */
function cookie(name) {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
}
