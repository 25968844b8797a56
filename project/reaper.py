"""Ends process groups once its standard input ends; run as a script, see `Reaper`.

Lines: ``watch GROUP SIGNAL`` and ``forget GROUP 0``.
"""

import contextlib
import os
import signal
import sys
import time

GRACE_SECONDS = 10


def main() -> None:
    groups: dict[int, int] = {}
    for line in sys.stdin:
        action, group, signum = line.split()
        if action == "watch":
            groups[int(group)] = int(signum)
        else:
            groups.pop(int(group), None)

    def send(group: int, signum: int) -> bool:
        """Signal the leader politely, or the whole group for KILL and 0; False when it is gone."""
        try:
            (os.killpg if signum in (0, signal.SIGKILL) else os.kill)(group, signum)
        except ProcessLookupError:
            return False
        return True

    alive = {group for group, signum in groups.items() if send(group, signum)}
    deadline = time.monotonic() + GRACE_SECONDS
    while alive and time.monotonic() < deadline:
        time.sleep(0.05)
        alive = {group for group in alive if send(group, 0)}
    for group in alive:
        send(group, signal.SIGKILL)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
