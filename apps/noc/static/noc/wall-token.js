// The token of a wall: it comes once in the fragment of the address, which never reaches a server's log, and is kept by
// the browser. `#token=` without a value forgets it.

const KEY = "noc.wall.token";

/**
 * Take the token out of the address, or the one that is kept.
 * @param {URL} address
 * @param {{storage: Pick<Storage, "getItem" | "setItem" | "removeItem">, history: Pick<History, "replaceState">}} browser
 * @returns {string | null} null: the wall works by a session
 */
export function takeToken(address, { storage, history }) {
  const given = new URLSearchParams(address.hash.slice(1)).get("token");
  if (given !== null) {
    history.replaceState(null, "", `${address.pathname}${address.search}`);
    if (given) storage.setItem(KEY, given);
    else storage.removeItem(KEY);
  }
  return given || (given === null ? storage.getItem(KEY) : null);
}
