// Many changes, one draw.

/**
 * A call of what comes back makes `run` happen `ms` later; calls until then are the same one.
 * It goes by a timer, not by the frame: a hidden page has no frames.
 * @param {() => unknown} run
 * @param {number} ms
 * @returns {() => void}
 */
export function soon(run, ms) {
  let timer = 0;
  return () => {
    timer ||= setTimeout(() => {
      timer = 0;
      run();
    }, ms);
  };
}
